"""The kernel's calls that code in a sandbox has no use for, as a filter program for seccomp.

Written here because it is a list and a loop: libseccomp, which would write the same program, is not on every machine.
"""

from __future__ import annotations

import errno
import platform
import struct

# Numbers from the kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl and, for arm64, include/uapi/asm-generic/
# unistd.h; from 424 on they are the same. What is refused, and why: other processes' memory, the kernel itself, file
# systems, namespaces, keys, memory that belongs to no process and so to no limit.
_REFUSED = {
    "x86_64": {
        **{"ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312},
        **{"bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "syslog": 103, "acct": 163, "reboot": 169},
        **{"kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176},
        **{"swapon": 167, "swapoff": 168, "iopl": 172, "ioperm": 173, "quotactl": 179, "vhangup": 153},
        **{"settimeofday": 164, "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159},
        **{"sethostname": 170, "setdomainname": 171, "fanotify_init": 300, "lookup_dcookie": 212},
        **{"mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308},
        **{"name_to_handle_at": 303, "open_by_handle_at": 304},
        **{"add_key": 248, "request_key": 249, "keyctl": 250},
    },
    "aarch64": {
        **{"ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272},
        **{"bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "syslog": 116, "acct": 89, "reboot": 142},
        **{"kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "finit_module": 273, "delete_module": 106},
        **{"swapon": 224, "swapoff": 225, "quotactl": 60, "vhangup": 58},
        **{"settimeofday": 170, "clock_settime": 112, "clock_adjtime": 266, "adjtimex": 171},
        **{"sethostname": 161, "setdomainname": 162, "fanotify_init": 262, "lookup_dcookie": 18},
        **{"mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268},
        **{"name_to_handle_at": 264, "open_by_handle_at": 265},
        **{"add_key": 217, "request_key": 218, "keyctl": 219},
    },
}
_REFUSED_ALIKE = {
    **{"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427},
    **{"open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433},
    **{"pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "quotactl_fd": 443},
}
# Said not to exist, so that programs do without: clone3, whose flags no filter can see; memfd_create and memfd_secret,
# which no limit covers; and whatever the kernel got after this table was made, and other tables (x32).
_MISSING = {"x86_64": {"memfd_create": 319}, "aarch64": {"memfd_create": 279}}
_MISSING_ALIKE = {"clone3": 435, "memfd_secret": 447}
_LAST = 469  # file_setattr
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SOCKET, _CLONE = {"x86_64": 41, "aarch64": 198}, {"x86_64": 56, "aarch64": 220}
_IOCTL, _SHMGET = {"x86_64": 16, "aarch64": 29}, {"x86_64": 29, "aarch64": 194}
_NAMESPACES = 0x7E020000  # CLONE_NEW*: user, pid, net, ipc, uts, cgroup, mount
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_NETLINK = 16  # of which only NETLINK_ROUTE, protocol 0: the C library lists interfaces with it
_TERMINAL = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX type into the terminal
_SEGMENT = 64 << 10  # bytes of a System V shared memory segment, which may belong to no process: PostgreSQL takes 56

_LOAD, _EQUAL, _GREATER, _ANY, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NUMBER, _MACHINE, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32  # offsets in struct seccomp_data; low halves of arguments
_HIGH = 4  # from there to an argument's high half


class NoFilter(Exception):
    """There is no table for this machine; the message names it."""


def program(machine: str = platform.machine()) -> bytes:
    """Return the filter as an array of `struct sock_filter`. Raises NoFilter."""
    if machine not in _ARCH:
        raise NoFilter(f"no filter of system calls is known for {machine}")
    refused = [*_REFUSED[machine].values(), *_REFUSED_ALIKE.values()]
    missing = [*_MISSING[machine].values(), *_MISSING_ALIKE.values()]
    lines = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, _ARCH[machine]), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    lines += [(_GREATER, 0, 1, _LAST), _error(errno.ENOSYS)]
    for numbers, error in ((refused, errno.EPERM), (missing, errno.ENOSYS)):
        for number in numbers:
            lines += [(_EQUAL, 0, 1, number), _error(error)]
    for number, rule in (
        (_SOCKET[machine], _socket()),
        (_CLONE[machine], [(_LOAD, 0, 0, _FIRST), (_ANY, 0, 1, _NAMESPACES), _error(errno.EPERM)]),
        (_IOCTL[machine], _ioctl()),
        (_SHMGET[machine], _shmget()),
    ):
        lines += [(_EQUAL, 0, len(rule) + 1, number), *rule, (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in [*lines, (_RETURN, 0, 0, _ALLOW)])


def _error(number: int) -> tuple[int, int, int, int]:
    return _RETURN, 0, 0, 0x00050000 | number


def _socket() -> list[tuple[int, int, int, int]]:
    allow = (_RETURN, 0, 0, _ALLOW)
    families = [line for family in _FAMILIES for line in ((_EQUAL, 0, 1, family), allow)]
    route = [(_EQUAL, 0, 3, _NETLINK), (_LOAD, 0, 0, _THIRD), (_EQUAL, 0, 1, 0), allow]
    return [(_LOAD, 0, 0, _FIRST), *families, *route, _error(errno.EAFNOSUPPORT)]


def _ioctl() -> list[tuple[int, int, int, int]]:
    refused = [line for request in _TERMINAL for line in ((_EQUAL, 0, 1, request), _error(errno.EPERM))]
    return [(_LOAD, 0, 0, _SECOND), *refused]


def _shmget() -> list[tuple[int, int, int, int]]:
    whole = [(_LOAD, 0, 0, _SECOND + _HIGH), (_EQUAL, 1, 0, 0), _error(errno.ENOSPC)]
    return [*whole, (_LOAD, 0, 0, _SECOND), (_GREATER, 0, 1, _SEGMENT), _error(errno.ENOSPC)]
