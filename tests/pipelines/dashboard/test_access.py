"""Files that say who has access, keys that are made, and where the dashboard listens."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from pipelines.dashboard.access import Access, by_key, by_proxy, digest, made, read
from pipelines.dashboard.place import opened_at, place_of
from pipelines.errors import Refused
from tests.pipelines.dashboard.setting import ACCESS, PROXY


def umbau(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", *args]
    return subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=False, timeout=120)


def test_a_key_is_told_once_and_its_digest_kept(tmp_path: Path) -> None:
    file = tmp_path / "dashboard.toml"
    keys = {name: made(file, name, role) for name, role in (("ada", "operator"), ("b.ob@x", "reader"))}  # type: ignore[arg-type]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(key in file.read_text() for key in keys.values())
    found = read(file)
    assert {name: by_key(found, key).role for name, key in keys.items()} == {"ada": "operator", "b.ob@x": "reader"}  # type: ignore[union-attr]
    assert by_key(found, keys["ada"][:-1]) is None
    assert by_key(found, found.keys["ada"].sha256) is None, "its digest is no key"
    with pytest.raises(Refused, match="has a key for ada already"):
        made(file, "ada", "reader")
    with pytest.raises(Refused, match="is no name"):
        made(file, 'x"]\n[proxy', "reader")


def test_a_key_is_added_to_what_was_written_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "dashboard.toml"
    entry = f"role = 'reader', sha256 = '{digest('her key')}'"
    file.write_text(f"keys.ada = {{ {entry} }}  # no line ends here")
    file.chmod(0o640)
    made(file, "bob", "operator")
    assert {name: key.role for name, key in read(file).keys.items()} == {"ada": "reader", "bob": "operator"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640, "whoever serves may be another user of its group"
    file.write_text(whole := f"keys = {{ ada = {{ {entry} }} }}\n")
    with pytest.raises(Refused, match=r"does not take \[keys.bob\] at its end"):
        made(file, "bob", "operator")
    assert file.read_text() == whole


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("keys", "is not TOML"),
        ("[keys.ada]\nrole = 'admin'\nsha256 = ''", "keys.ada.role"),
        (f"[keys.ada]\nrole = 'reader'\nsha256 = '{'0' * 63}'", "keys.ada.sha256"),
        ("[key.ada]", "did you mean `keys`"),
        (f"[proxy]\naddresses = []\nsha256 = '{'0' * 64}'", "proxy.addresses"),
        (f"[proxy]\naddresses = ['proxy.example']\nsha256 = '{'0' * 64}'", "proxy.addresses.0"),
        ("[proxy]\naddresses = ['10.0.0.1']", "proxy.sha256"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "dashboard.toml"
    file.write_text(text)
    with pytest.raises(Refused, match=why):
        read(file)


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ([("x-forwarded-user", "eve"), ("x-forwarded-groups", "staff, platform")], "operator"),
        ([("x-auth-request-user", "eve"), ("x-auth-request-groups", "staff")], "reader"),
        ([("x-forwarded-user", "eve"), ("x-forwarded-groups", "staff"), ("x-forwarded-groups", "platform")], None),
        ([("x-forwarded-user", "root"), ("x-forwarded-user", "eve"), ("x-forwarded-groups", "staff")], None),
        ([("x-auth-request-user", "eve"), ("x-auth-request-groups", "a"), ("x-forwarded-groups", "platform")], None),
        ([("x-auth-request-user", "eve"), ("x-forwarded-groups", "platform")], None),
        ([("x-forwarded-user", " "), ("x-forwarded-groups", "platform")], None),
    ],
)
def test_what_is_said_twice_is_not_believed(said: list[tuple[str, str]], role: str | None) -> None:
    found = by_proxy(ACCESS, [("x-umbau-proxy", PROXY), *said], "10.9.8.7")
    assert (found.role if found else None) == role


def test_no_file_is_nobody(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == Access()
    assert not Access().anybody


def test_the_store_is_told_without_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UMBAU_STORE", raising=False)
    assert place_of(tmp_path).store == str(tmp_path / "store.db")
    opened_at(place_of(tmp_path)).close()
    monkeypatch.setenv("UMBAU_STORE", "postgresql://umbau@db/umbau")
    monkeypatch.setenv("PGPASSWORD", "a:b\\c")
    place = place_of(tmp_path)
    assert "a:b" not in repr(place)
    kept = Path(place.passwords)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text() == "*:*:*:*:a\\:b\\\\c\n"


def test_nobody_from_elsewhere_before_somebody_has_access(home: Path) -> None:
    done = umbau("dashboard", "--host", "0.0.0.0")
    assert done.returncode == 64
    assert "umbau dashboard key NAME --operator" in done.stderr


def test_a_dashboard_without_the_bot(home: Path) -> None:
    done = umbau("dashboard", "key", "ada", "--operator")
    assert done.returncode == 0, done.stderr
    key = done.stdout.split("\n")[0]
    assert digest(key) in (home / "dashboard.toml").read_text()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "dashboard", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            url, end = f"http://127.0.0.1:{port}", time.monotonic() + 90
            while True:
                try:
                    assert httpx.get(f"{url}/health").json() == {"status": "ok"}
                    break
                except httpx.TransportError:
                    assert time.monotonic() < end
                    time.sleep(0.2)
            assert httpx.get(url).status_code == 401
            page = httpx.get(url, headers={"Authorization": f"Bearer {key}"}).text
            assert "There is no job in this store yet" in page
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) in {0, 130}
