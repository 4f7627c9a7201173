from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from operators import checkout as module
from operators.checkout import NotAFile, TooLarge, Tree, tree
from operators.proc import GitError, git
from tests.conftest import Checkout
from tests.operators.conftest import MakeBase, base_of

FILES = {
    "a.py": "a = 1\n",
    "pkg/__init__.py": "",
    "pkg/b.py": "b = 2\n",
    "pkg/deep/c.py": "c = 3\n",
    "run.sh": "#!/bin/sh\n",
}


@pytest.fixture
def own(base: MakeBase) -> Tree:
    made = base(FILES)
    return tree(made.mirror, made.commit)


def content(folder: Path) -> dict[str, str | bytes]:
    """Everything below a folder: bytes of files, kind of anything else."""
    found: dict[str, str | bytes] = {}
    for at, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(at, name)
            mode = path.lstat().st_mode
            key = str(path.relative_to(folder))
            if stat.S_ISREG(mode):
                found[key] = path.read_bytes()
            elif stat.S_ISDIR(mode):
                found[key] = f"folder {stat.S_IMODE(mode):o}"
            else:
                found[key] = "something else"
    return found


def sh(own: Tree, command: str) -> None:
    done = subprocess.run(["/bin/sh", "-ec", command], cwd=own.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_tree_holds_the_files_of_its_commit(own: Tree) -> None:
    assert {path: data for path, data in content(own.folder).items() if isinstance(data, bytes)} == {
        path: text.encode() for path, text in FILES.items()
    }


def test_one_process_has_one_tree_of_a_commit(base: MakeBase) -> None:
    made = base(FILES)
    assert tree(made.mirror, made.commit) is tree(made.mirror, made.commit)


def test_another_process_has_another_tree_which_goes_with_it(base: MakeBase) -> None:
    made = base(FILES)
    own = tree(made.mirror, made.commit)
    program = f"from operators.checkout import tree; print(tree({made.mirror!r}, {made.commit!r}).folder)"
    other = Path(subprocess.check_output([sys.executable, "-c", program], text=True).strip())
    assert other.parent == own.folder.parent
    assert other != own.folder
    assert not other.exists()


def test_trees_of_processes_that_were_killed_are_removed(base: MakeBase) -> None:
    made = base(FILES)
    program = (
        f"import os, signal; from operators.checkout import tree; print(tree({made.mirror!r}, {made.commit!r}).folder,"
        "flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    left = Path(done.stdout.strip())
    assert left.exists()
    tree(made.mirror, made.commit)
    assert not left.exists()


@pytest.mark.parametrize(
    "name",
    ["a b.py", "-rf.py", "it's.py", 'quo"te.py', "tab\there.py", "new\nline.py", "ümlaut 日本.py", "$HOME.py", "*"],
)
def test_odd_names_are_checked_out_and_laid(base: MakeBase, name: str) -> None:
    made = base({name: "x = 1\n", f"-folder/{name}": "y = 1\n"})
    own = tree(made.mirror, made.commit)
    own.lay({f"-folder/{name}": b"y = 2\n"})
    assert (own.folder / name).read_bytes() == b"x = 1\n"
    assert (own.folder / "-folder" / name).read_bytes() == b"y = 2\n"
    assert own.changed() == {}


def test_names_that_are_no_utf_8_are_checked_out(base: MakeBase) -> None:
    made = base({os.fsdecode(b"caf\xe9.py"): "x = 1\n"})
    own = tree(made.mirror, made.commit)
    assert [os.fsencode(path.name) for path in own.folder.iterdir()] == [b"caf\xe9.py"]


def test_symbolic_links_and_submodules_lead_nowhere(checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    made = checkout(FILES)
    (made.folder / "passwd").symlink_to("/etc/passwd")
    (made.folder / "up").symlink_to("..")
    made.git("add", "--all")
    made.git("update-index", "--add", "--cacheinfo", f"160000,{made.git('rev-parse', 'HEAD')},sub")
    made.git("commit", "--quiet", "-m", "links")
    base = base_of(made, tmp_path)
    own = tree(base.mirror, base.commit)
    found = content(own.folder)
    assert found["passwd"] == b"/etc/passwd"
    assert found["up"] == b".."
    assert found["sub"] == "folder 755"
    own.lay({})
    assert content(own.folder) == found


def test_attributes_of_the_repository_have_no_effect(base: MakeBase, tmp_path: Path) -> None:
    attributes = (
        "*.py filter=evil eol=crlf ident\n"
        "*.txt working-tree-encoding=UTF-16LE text\n"
        "secret.py export-ignore export-subst\n"
        "[attr]odd text eol=crlf\n* odd\n"
    )
    files = {
        ".gitattributes": attributes,
        "a.py": "x = '$Id$'\n",
        "b.txt": "b\n".encode("utf-16le"),
        "crlf.py": "x = 1\r\n",
        "secret.py": "y = '$Format:%H$'\n",
    }
    made = base(files)
    blobs = {path: git(Path(made.mirror), "cat-file", "blob", f"{made.commit}:{path}") for path in files}
    assert b"\r" not in blobs["crlf.py"], "git has applied the attributes on the way in"
    assert content(tree(made.mirror, made.commit).folder) == blobs


def test_modes_are_kept(base: MakeBase, checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    made = checkout(FILES)
    (made.folder / "run.sh").chmod(0o755)
    made.commit({}, "executable")
    base_ = base_of(made, tmp_path)
    own = tree(base_.mirror, base_.commit)
    own.lay({"run.sh": b"#!/bin/sh\necho\n", "a.py": b"", "new.py": b""})
    modes = {name: stat.S_IMODE((own.folder / name).stat().st_mode) for name in ("run.sh", "a.py", "new.py")}
    assert modes == {"run.sh": 0o755, "a.py": 0o644, "new.py": 0o644}


def test_a_commit_that_is_not_there_is_an_error(base: MakeBase) -> None:
    made = base(FILES)
    with pytest.raises(GitError):
        tree(made.mirror, "0" * 40)
    assert tree(made.mirror, made.commit).folder.exists()


def test_too_much_is_not_checked_out(base: MakeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    made = base(FILES)
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(TooLarge):
        tree(made.mirror, made.commit)
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    monkeypatch.setattr(module, "MAX_FILES", 2)
    with pytest.raises(GitError, match="more than 2 files"):
        tree(made.mirror, made.commit)


def test_what_was_laid_is_gone_with_the_next_edit(own: Tree) -> None:
    before = content(own.folder)
    own.lay({"a.py": b"changed", "pkg/b.py": None, "new/deep/d.py": b"d = 4\n"})
    assert (own.folder / "a.py").read_bytes() == b"changed"
    assert not (own.folder / "pkg/b.py").exists()
    assert (own.folder / "new/deep/d.py").read_bytes() == b"d = 4\n"
    own.lay({})
    assert content(own.folder) == before


@pytest.mark.parametrize(
    "command",
    [
        "echo changed > a.py",
        "echo more >> pkg/b.py",
        "printf 'a = 2\\n' > a.py && touch -d @0 a.py",
        "touch -r a.py run.sh && printf 'a = 2\\n' > a.py && touch -r run.sh a.py",
        "cp -p a.py x && printf 'a = 2\\n' > x && touch -r a.py x && mv x a.py",
        "rm a.py",
        "rm -r pkg",
        "mv pkg elsewhere",
        "mv a.py b.py",
        "rm a.py && mkdir a.py && echo x > a.py/x",
        "rm a.py && mkdir -p a.py/deep/er",
        "rm -r pkg && echo x > pkg",
        "rm -r pkg && ln -s /etc pkg",
        "rm -r pkg/deep && ln -s . pkg/deep",
        "rm a.py && ln -s /etc/passwd a.py",
        "ln a.py hard.py && echo x > hard.py",
        "ln -s /etc link && ln -s nowhere dangling",
        "mkfifo pipe && rm a.py && mkfifo a.py",
        "mkdir -p empty/er/est",
        "echo x > .gitignore && mkdir .git && echo x > .git/config",
        "chmod 600 a.py && chmod 4755 run.sh",
        "chmod 700 pkg/deep",
        "mkdir -p __pycache__ && echo x > __pycache__/a.pyc",
        "echo x > 'a\nb' && echo y > '-rf'",
    ],
)
def test_what_a_command_changed_or_left_is_put_right(own: Tree, command: str) -> None:
    def modes() -> dict[Path, int]:
        return {path: path.lstat().st_mode for path in own.folder.rglob("*")}

    own.lay({})
    before, were = content(own.folder), modes()
    for _ in range(2):
        sh(own, command)
        own.lay({})
        assert content(own.folder) == before
        assert modes() == were
        assert own.changed() == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.parametrize("command", ["chmod 0 pkg", "chmod 500 pkg pkg/deep", "chmod 0 a.py", "chmod 0 pkg/deep pkg"])
def test_what_a_command_locked_is_opened_again(own: Tree, command: str) -> None:
    own.lay({})
    before = content(own.folder)
    sh(own, command)
    own.lay({"pkg/b.py": b"b = 3\n"})
    own.lay({})
    assert content(own.folder) == before


def test_what_a_command_changed_is_told(own: Tree) -> None:
    own.lay({"a.py": b"laid\n", "new.py": b"new\n"})
    sh(own, "echo changed > pkg/b.py; rm pkg/deep/c.py; echo x > d.py; echo laid > a.py; mkdir empty")
    assert own.changed() == {"a.py": b"laid\n", "pkg/b.py": b"changed\n", "pkg/deep/c.py": None, "d.py": b"x\n"}


def test_what_a_command_wrote_at_once_is_told_though_it_is_as_long(own: Tree) -> None:
    # Within one tick of a coarse clock only the time of modification can differ.
    own.lay({"a.py": b"a = 1\n"})
    with (own.folder / "a.py").open("r+b") as file:
        file.write(b"a = 2\n")
    assert own.changed() == {"a.py": b"a = 2\n"}


def test_by_products_of_tools_are_not_told(own: Tree) -> None:
    own.lay({})
    sh(own, "for d in __pycache__ .pytest_cache .mypy_cache/3.11 pkg/.ruff_cache; do mkdir -p $d; echo x > $d/f; done")
    sh(own, "echo x > a.pyc; mkdir cache; echo x > cache/kept.py")
    assert own.changed() == {"cache/kept.py": b"x\n"}


@pytest.mark.parametrize("command", ["mkfifo d.py", "ln -s /etc/passwd d.py", "rm a.py; ln -s pkg/b.py a.py"])
def test_what_is_no_file_is_never_read(own: Tree, command: str) -> None:
    own.lay({})
    sh(own, command)
    with pytest.raises(NotAFile):
        own.changed()


@pytest.mark.parametrize("path", ["../out.py", "pkg/../../out.py", "{folder}/../out.py"])
def test_nothing_is_laid_outside_of_the_tree(own: Tree, path: str) -> None:
    with pytest.raises(ValueError, match="no path within the checkout"):
        own.lay({path.format(folder=own.folder): b"x"})
    assert not (own.folder.parent / "out.py").exists()
