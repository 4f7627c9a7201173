from __future__ import annotations

from pathlib import Path

from pipelines.sources import sources


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder / (name.replace("__slash__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_a_module_and_what_it_imports(tmp_path: Path) -> None:
    write(tmp_path, mine="import helper, os\nfrom kit import inner\n", helper="from kit.deep import x\n", other="")
    write(
        tmp_path / "kit", __init__="from . import aside", inner="from .deep import x", deep="x = 1", aside="", loose=""
    )
    found = sources("mine", str(tmp_path))
    assert sorted(found) == ["helper", "kit", "kit.aside", "kit.deep", "kit.inner", "mine"]
    assert found["kit.deep"] == "x = 1"


def test_relative_imports_of_packages(tmp_path: Path) -> None:
    write(tmp_path / "a", __init__="")
    write(tmp_path / "a" / "b", __init__="from ..c import d\nfrom .. import e\nfrom .f import g", f="")
    write(tmp_path / "a", c="", e="")
    assert sorted(sources("a.b", str(tmp_path))) == ["a", "a.b", "a.b.f", "a.c", "a.e"]


def test_packages_that_a_module_lies_in(tmp_path: Path) -> None:
    write(tmp_path / "a", __init__="import c")
    write(tmp_path / "a" / "b", __init__="", mine="")
    write(tmp_path, c="", d="")
    assert sorted(sources("a.b.mine", str(tmp_path))) == ["a", "a.b", "a.b.mine", "c"]


def test_a_circle_ends(tmp_path: Path) -> None:
    write(tmp_path, one="import two", two="import one")
    assert sorted(sources("one", str(tmp_path))) == ["one", "two"]


def test_what_does_not_parse_is_text_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, mine="def (:")
    assert sources("mine", str(tmp_path)) == {"mine": "def (:"}


def test_our_own_codemods_with_their_parts(tmp_path: Path) -> None:
    assert "operators.codemods.assertions" in sources("unittest_to_pytest", str(tmp_path))


def test_nothing_of_others(tmp_path: Path) -> None:
    assert sources("json", str(tmp_path)) == {}
    assert sources("convert_format_to_fstring", str(tmp_path)) == {}
    assert sources("", str(tmp_path)) == {}
    assert sources("../up", str(tmp_path / "below")) == {}
