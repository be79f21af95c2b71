"""The system calls that no build needs, as a filter for the kernel (seccomp(2)): most of its holes were behind these.

The filter is a program of classic BPF: instructions of eight bytes, which load a word of the call, compare it, or
answer. What is refused fails with EPERM, as for a user without rights; a build sees nothing else of it.
"""

import errno
import struct

# x86-64 (asm/unistd_64.h), and all other processors (asm-generic/unistd.h).
NUMBERS = {
    # Keys of the user, which belong to no namespace.
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # Programs in the kernel, counters, page faults and queues that are handled outside it.
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # Other processes.
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # New namespaces, and mounts in them.
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # Files by number, and notes of what others open.
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    # The machine.
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "syslog": (103, 116), "quotactl": (179, 60), "settimeofday": (164, 170),
}  # fmt: skip
# Its flags are where no filter can look; the C library then takes `clone`.
_CLONE3 = 435
# How the kernel calls a processor (linux/audit.h), which numbers it has, and its `clone`.
_MACHINES = {"x86_64": (0xC000003E, 0, 56), "aarch64": (0xC00000B7, 1, 220)}
# Calls of a third kind on x86-64, with numbers from here on.
_X32 = 0x40000000
# CLONE_NEW… of cgroups, mounts, names, shared memory, users, processes and networks.
_NAMESPACES = 0x7E020000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


def program(machine: str) -> bytes:
    """Return the filter for a processor, as `uname -m` calls it; nothing if it is another one than those two."""
    if machine not in _MACHINES:
        return b""
    kind, column, clone = _MACHINES[machine]
    refused, unknown = _step(_ANSWER, _ERROR | errno.EPERM), _step(_ANSWER, _ERROR | errno.ENOSYS)
    steps = [_step(_LOAD, _MACHINE), _step(_EQUAL, kind, skip=1), unknown, _step(_LOAD, _NUMBER)]
    steps += [_step(_AT_LEAST, _X32, otherwise=1), unknown, _step(_EQUAL, _CLONE3, otherwise=1), unknown]
    for numbers in NUMBERS.values():
        steps += [_step(_EQUAL, numbers[column], otherwise=1), refused]
    steps += [_step(_EQUAL, clone, otherwise=3), _step(_LOAD, _FIRST_ARGUMENT)]
    steps += [_step(_ANY_BIT, _NAMESPACES, otherwise=1), refused, _step(_ANSWER, _ALLOW)]
    return b"".join(steps)


def _step(code: int, value: int, *, skip: int = 0, otherwise: int = 0) -> bytes:
    """Return an instruction (linux/filter.h); a comparison skips so many if it holds, or if it does not."""
    return struct.pack("=HBBI", code, skip, otherwise, value)
