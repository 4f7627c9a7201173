from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from operators.folders import NotOurs, abandoned, clear, hold, private, scratch, seen


def deep(folder: Path, levels: int = 1_100, name: str = "d" * 100) -> None:
    """Make folders whose paths are longer than any call may be given."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT, dir_fd=here))
    os.close(here)


def test_a_folder_is_removed_however_deep_it_is(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    deep(tmp_path / "a")
    deep(tmp_path / "a" / "b")
    clear(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444, 0o555])
def test_what_is_locked_is_removed_as_well(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "a"
    (folder / "b" / "c").mkdir(parents=True)
    for path in (folder / "x", folder / "b" / "y", folder / "b" / "c" / "z"):
        path.touch(mode=mode)
    for path in (folder / "b" / "c", folder / "b", folder):
        path.chmod(mode)
    clear(folder)
    assert list(tmp_path.iterdir()) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o750)
    (kept / "file").touch()
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "link").symlink_to(kept)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    link = tmp_path / "b"
    link.symlink_to(kept)
    for path in (folder, link, tmp_path / "nowhere"):
        clear(path)
    assert list(tmp_path.iterdir()) == [kept]
    assert (kept / "file").exists()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o750
    link.symlink_to(kept)
    with pytest.raises(NotADirectoryError):
        seen(link)


def test_a_scratch_folder_goes_with_all_that_is_in_it() -> None:
    with scratch() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        deep(folder)
    assert not folder.exists()
    with pytest.raises(ZeroDivisionError), scratch() as folder:
        raise ZeroDivisionError
    assert not folder.exists()


def test_our_folder_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert private() == private() == tmp_path / f"umbau-{os.getuid()}"
    assert stat.S_IMODE(private().stat().st_mode) == 0o700
    private().chmod(0o777)
    with pytest.raises(NotOurs, match="can be written to by others"):
        private()


def test_a_folder_is_abandoned_when_its_process_has_ended(tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.mkdir()
    hold(held)
    program = f"from pathlib import Path; from operators.folders import *; print(abandoned(Path({str(held)!r})))"
    ask = [sys.executable, "-c", program]
    assert subprocess.check_output(ask, text=True) == "False\n"
    program = f"from pathlib import Path; from operators.folders import *; hold(Path({str(tmp_path)!r}))"
    subprocess.check_call([sys.executable, "-c", program])
    tmp_path.chmod(0o000)
    assert abandoned(tmp_path)
    assert not abandoned(held)
    assert not abandoned(tmp_path / "gone")
    (tmp_path / "file").touch()
    assert abandoned(tmp_path / "file")
