"""What reaches for what is outside: files, processes, credentials, sockets; and what is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.conftest import GOOD, Node

TRIES = """\
import sys


def tries(call, *arguments):
    try:
        print("DID", call, call(*arguments))
    except (OSError, ImportError) as error:
        print("could not", error)


"""


def tried(node: Node, program: str) -> str:
    """Run what should all fail, each line a try, and return what was said of it."""
    done = node.python(TRIES + program)
    assert done.code == 0, done.out
    assert "DID" not in done.out, done.out
    assert done.out.count("could not") == program.count("tries(")
    return done.out


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/x",
            "/usr/x",
            "/usr/bin/env",
            "/etc/passwd",
            "/etc/x",
            "/bin/sh",
            "/root/x",
            "/home/x",
            "/given/x",
            "/dev/x",
        ),
        *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/x"),
        *(f"{sys.prefix}/x", f"{sys.prefix}/lib/python3.{sys.version_info[1]}/site-packages/pytest/__init__.py"),
        f"{sys.base_prefix}/lib/python3.{sys.version_info[1]}/os.py",
    ],
)
def test_nothing_is_written_outside(node: Node, path: str) -> None:
    tried(node, f"tries(open, {path!r}, 'a')\n")


def test_the_checkout_that_all_share_stays_as_it_is(node: Node) -> None:
    box_of = "printf 'def test_good(): assert 0' > test_good.py; rm test_bad.py; mkdir -p test_bad.py/x; chmod 0 *"
    assert node.sh(box_of).code == 0
    assert node.sh("cat test_good.py; ls").out == GOOD + "test_bad.py\ntest_good.py\n"


def test_no_process_outside_can_be_seen_or_signalled(node: Node) -> None:
    victim = subprocess.Popen(["/bin/sleep", "100"])
    try:
        out = tried(node, f"import os\ntries(os.kill, {victim.pid}, 9)\ntries(os.kill, {os.getppid()}, 9)\n")
        assert "No such process" in out
        program = "import os\nprint(sorted(int(n) for n in os.listdir('/proc') if n.isdigit()))\nos.kill(-1, 9)\n"
        done = node.python(program)
        assert done.out.count(",") <= 3
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


@pytest.mark.parametrize("killer", ["os.kill(os.getppid(), 9)", "os.kill(1, 9)", "os.kill(-1, 9)", "os.killpg(0, 9)"])
def test_a_test_that_kills_what_runs_it_is_a_fault_and_no_more(node: Node, killer: str) -> None:
    ruling = node.judge(f"import os\n\n\ndef test_bad():\n    {killer}\n    os._exit(0)\n")
    assert ruling.findings
    assert not node.judge("def test_bad(): ...\n").findings


def test_the_first_process_shows_and_lends_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-4711")
    out = node.sh("cat /proc/*/environ /proc/*/cmdline 2>&1; env; tr -d '\\0' < /proc/1/mem").out
    assert "hush-4711" not in out
    assert str(Path(node.ws.base.mirror).parent) not in out
    tried(
        node,
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\n\n"
        "def call(name, *given):\n    if libc[name](*given) < 0:\n"
        "        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\n\n\n"
        "tries(call, 'ptrace', 16, 1, 0, 0)\ntries(call, 'unshare', 0x10000000)\n"
        "tries(call, 'mount', b'none', b'/tmp', b'tmpfs', 0, None)\ntries(call, 'setns', 0, 0)\n"
        "tries(os.listdir, '/proc/1/root/root/.ssh')\ntries(os.setuid, 0)\ntries(os.chroot, '/tmp')\n"
        "tries(call, 'syscall', 425, 8, 0)\ntries(call, 'syscall', 250, 0)\ntries(call, 'syscall', 321, 0, 0, 0)\n",
    )


@pytest.fixture
def secrets_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Where credentials lie: files of the user, sockets of agents and daemons, what Ray shares in memory."""
    home = tmp_path / "user"
    for name in (
        ".ssh/id_ed25519",
        ".aws/credentials",
        ".config/umbau/token",
        ".umbau/keys/evidence",
        ".netrc",
        ".docker/config.json",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("hush-4711")
    monkeypatch.setenv("HOME", str(home))
    store = Path("/dev/shm/plasma-hostile")
    store.write_text("hush-4711")
    agent, docker = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    agent.bind(str(home / "agent"))
    docker.bind(str(home / "docker"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    monkeypatch.setenv("UMBAU_MODEL_KEY", "hush-4711")
    yield [str(path) for path in home.rglob("*") if path.is_file()] + [
        str(store),
        "/run/docker.sock",
        "/var/run/docker.sock",
    ]
    store.unlink()
    agent.close()
    docker.close()


def test_no_credential_can_be_read(node: Node, secrets_of_the_user: list[str]) -> None:
    tried(node, "".join(f"tries(open, {path!r})\n" for path in secrets_of_the_user))
    program = "import os, socket\nprint('SSH_AUTH_SOCK' in os.environ, os.environ, os.listdir('/dev/shm'))\n"
    assert node.python(program).out.startswith("False")
    assert "hush-4711" not in node.sh("env; grep -rs hush-4711 /home /etc /run /var /dev/shm /tmp /left /given").out


def listening(family: socket.AddressFamily, kind: socket.SocketKind, address: object) -> socket.socket:
    one = socket.socket(family, kind)
    one.bind(address)
    if kind == socket.SOCK_STREAM:
        one.listen()
    return one


def test_no_socket_leads_out(node: Node, tmp_path: Path) -> None:
    tcp = listening(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0))
    udp = listening(socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 0))
    name = f"\0umbau-hostile-{os.getpid()}"
    abstract = listening(socket.AF_UNIX, socket.SOCK_STREAM, name)
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    with tcp, udp, abstract:
        port = tcp.getsockname()[1]
        hosts = ["127.0.0.1", "169.254.169.254", "192.0.2.1", *(one for one in addresses if ":" not in one)]
        program = "import socket\nsocket.setdefaulttimeout(3)\n\n\ndef connects(family, kind, address):\n"
        program += "    with socket.socket(family, kind) as one:\n        one.connect(address)\n\n\n"
        program += "".join(f"tries(connects, 2, 1, ({host!r}, {port}))\n" for host in hosts)
        program += "".join(f"tries(connects, 2, 2, ({host!r}, 53))\n" for host in hosts[1:])
        program += f"tries(connects, 1, 1, {name!r})\n"
        program += "tries(socket.getaddrinfo, 'pypi.org', 443)\n"
        program += "tries(socket.socket, 40, 1)\ntries(socket.socket, 17, 3)\ntries(socket.socket, 16, 3, 15)\n"
        program += "tries(socket.socket, 38, 5)\n"
        tried(node, program)
        tcp.settimeout(0.1)
        with pytest.raises(TimeoutError):
            tcp.accept()


def test_servers_of_the_tests_own_can_be_talked_to(node: Node) -> None:
    test = (
        "import asyncio, socket, threading\n\n\ndef test_bad():\n"
        "    with socket.create_server(('127.0.0.1', 0)) as one:\n"
        "        threading.Thread(target=lambda: one.accept()[0].send(b'hello')).start()\n"
        "        with socket.create_connection(one.getsockname()) as other:\n"
        "            assert other.recv(5) == b'hello'\n    asyncio.run(asyncio.sleep(0))\n"
    )
    assert not node.judge(test).findings


DAEMON = """\
import os
import time

if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    while True:
        time.sleep(0.05)
        print("still here", flush=True)
print("done")
"""


def test_a_daemon_that_holds_the_output_ends_with_its_command(node: Node) -> None:
    start = time.monotonic()
    done = node.python(DAEMON)
    assert (done.code, done.timed_out) == (0, False)
    assert "done" in done.out
    assert time.monotonic() - start < 5


def test_what_one_command_left_running_is_gone_before_the_next(node: Node) -> None:
    with node.ws.box() as box:
        box.give("daemon.py", DAEMON)
        node.ws.run(box, "python -m daemon", (), 30.0)
        done = node.ws.run(box, "ls /proc | grep -c '^[0-9]'", (), 30.0)
        assert int(done.out) <= 5


@pytest.mark.parametrize(
    "leaving",
    [
        "ln -s /etc/passwd /left/x",
        "mkfifo /left/x",
        "mkdir /left/x",
        "echo x > /left/x; chmod 0 /left/x; mkdir -p /left/y; chmod 0 /left/y",
        "ln -s /left /left/x",
        "python -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/left/x\")'",
        "truncate -s 100M /left/x",
    ],
)
def test_what_is_left_is_taken_only_if_it_is_a_file(node: Node, leaving: str) -> None:
    with node.ws.box() as box:
        assert node.ws.run(box, leaving, (), 30.0).code == 0
        assert box.taken() is None


def test_modes_and_attributes_of_what_is_left_mean_nothing(node: Node) -> None:
    with node.ws.box() as box:
        command = (
            'cp /bin/true /left/x; chmod 4755 /left/x; python -c \'import os; os.setxattr("/left/x", "user.a", b"b")\''
        )
        node.ws.run(box, command, (), 30.0)
        assert (box.taken() or {})["x"][:4] == b"\x7fELF"


def test_tests_that_work_on_their_own_sources_work_on_a_copy(node: Node) -> None:
    test = (
        "import subprocess, sys\nfrom pathlib import Path\n\n\ndef test_bad():\n"
        "    Path('test_good.py').write_text('1 / 0')\n    Path(__file__).unlink()\n    Path('new').mkdir()\n"
        "    who = ['-c', 'user.name=a', '-c', 'user.email=a']\n"
        "    for argv in (['init', '-q'], ['add', '-A'], [*who, 'commit', '-qm', 'x']):\n"
        "        subprocess.run(['git', *argv], check=True)\n"
        "    pip = [sys.executable, '-m', 'pip', 'install', '--retries', '0', 'left-pad']\n"
        "    assert subprocess.run(pip).returncode\n"
    )
    assert not node.judge(test, timeout=60.0).findings
    assert node.sh("cat test_good.py; ls -A").out == GOOD + "test_bad.py\ntest_good.py\n"


@pytest.mark.parametrize(
    ("crash", "told"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.abort()", "SIGABRT"),
        ("import faulthandler; faulthandler._sigsegv()", "SIGSEGV"),
        ("import os; os._exit(0)", "without a report"),
        ("import sys; sys.exit(0)", "newly failing"),
    ],
)
def test_a_crash_is_told_as_one(node: Node, crash: str, told: str) -> None:
    (finding, *_) = node.judge(f"def test_bad():\n    {crash}\n").findings
    assert told in finding.message
    assert not list(Path("/tmp").glob("core*"))


def test_signals_of_the_node_are_not_the_sandboxs(node: Node) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        node.python("import os\nfor one in (0, 1, os.getppid()):\n    os.kill(one, 10)\n")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not heard
