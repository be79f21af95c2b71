"""The launcher: a program that shuts itself in and runs a command there; our own small bubblewrap.

Started as `python -I -S launcher.py --args FD -- COMMAND` it understands those words of bwrap(1) that
imagebuilder.sandbox.box writes, and `--chroot DIR` besides. It imports nothing of ours and little of Python's, because
its start is what a sandbox costs.

    launcher        unshares namespaces, waits, and kills whatever is left
    └── supervisor  makes the mounts, gives up all rights; process 1 of its own process namespace
        └── command

What is mounted is taken hold of before the new root is entered, and put in its place when nothing of the host is left:
no link in a root can lead a mount out of it. Reports are lines of JSON, as bubblewrap's `--json-status-fd` has them;
`exit-code` is written only if the command was started.
"""

# Without pathlib and json a start takes 18 ms, with them 29.
# ruff: noqa: PTH102, PTH103, PTH120, PTH123, PTH208, PTH211

import _socket
import ctypes
import fcntl
import os
import signal
import struct
import sys
from collections.abc import Sequence

_WORDS = {"--ro-bind": 2, "--bind": 2, "--symlink": 2, "--setenv": 2}
_libc = ctypes.CDLL(None, use_errno=True)

# linux/sched.h
_NEW_MOUNTS, _NEW_HOSTNAME, _NEW_IPC, _NEW_USERS = 0x20000, 0x4000000, 0x8000000, 0x10000000
_NEW_PROCESSES, _NEW_NETWORK = 0x20000000, 0x40000000
# linux/mount.h, linux/fcntl.h
_NOSUID, _NODEV, _NOEXEC, _RECURSIVE, _PRIVATE, _DETACH = 2, 4, 8, 0x4000, 0x40000, 2
_HERE, _EMPTY_PATH, _ALL_BELOW, _CLONE, _MOVE_EMPTY_PATH = -100, 0x1000, 0x8000, 1 | os.O_CLOEXEC, 4
_ATTRIBUTES = {"--bind": 2 | 4, "--ro-bind": 1 | 2 | 4, "--dev": 1 | 2}  # read-only 1, nosuid 2, nodev 4
# One number on every processor (asm-generic/unistd.h).
_OPEN_TREE, _MOVE_MOUNT, _FS_OPEN, _FS_CONFIG, _FS_MOUNT, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 442
# keyctl(2) has an older one, and KEYCTL_JOIN_SESSION_KEYRING is 1.
_KEYCTL = {"aarch64": 219, "x86_64": 250}
# linux/prctl.h
_DIE_WITH_PARENT, _DUMPABLE, _FILTER, _ADOPT_ORPHANS, _NO_NEW_PRIVILEGES = 1, 4, 22, 36, 38

_DEVICES = ("full", "null", "random", "urandom", "zero")
_DEVICE_LINKS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
# What a chroot does without where the kernel refuses it.
_LACKING = {
    _NEW_NETWORK: "the network is not cut off",
    _NEW_PROCESSES: "processes of the same user can be reached",
    _NEW_IPC: "shared memory of the host can be reached",
    _NEW_HOSTNAME: "the name of the host can be seen",
}

Step = tuple[str, list[str]]


def main(arguments: Sequence[str]) -> None:
    """Run the command of the arguments; its exit code goes to the descriptor of `--json-status-fd`."""
    steps, command = parse(arguments)
    last = {name: values[-1] for name, values in steps}
    status, block = int(last["--json-status-fd"]), int(last["--block-fd"])
    os.set_inheritable(status, False)  # noqa: FBT003 its signature
    os.set_inheritable(block, False)  # noqa: FBT003
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    control(_ADOPT_ORPHANS, 1)
    control(_DIE_WITH_PARENT, signal.SIGTERM)
    _libc.syscall(_KEYCTL.get(os.uname().machine, -1), 1, None)  # where engines refuse it, keys cannot be read either
    lacks = isolate(last)
    alive, own_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(own_end)
        supervise(steps, command, lacks, alive, status, block)
    try:
        os.write(own_end, b"\0")
        report(status, "child-pid", child, lacks)
        os.waitpid(child, 0)
    finally:
        sweep()


def parse(arguments: Sequence[str]) -> tuple[list[Step], list[str]]:
    """Split the arguments into words with their values, and the command."""
    end = arguments.index("--")
    steps = []
    waiting = list(reversed(arguments[:end]))
    while waiting:
        name = waiting.pop()
        values = [waiting.pop() for _ in range(_WORDS.get(name, 1))]
        if name == "--args":
            with open(int(values[0]), "rb") as file:
                waiting += reversed(os.fsdecode(file.read()).split("\0")[:-1])
        else:
            steps.append((name, values))
    return steps, list(arguments[end + 1 :])


def call(name: str, *arguments: int | bytes | None) -> int:
    """Call a function of the C library; OSError with its name if it fails."""
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(getattr(_libc, name)(*converted))
    if result < 0:
        shown = " ".join(os.fsdecode(each) for each in arguments if isinstance(each, bytes) and each.isascii())
        raise OSError(ctypes.get_errno(), f"{os.strerror(ctypes.get_errno())}: {name} {shown}".rstrip())
    return result


def control(option: int, value: int) -> None:
    """Call prctl(2)."""
    call("prctl", option, value, 0, 0, 0)


def report(status: int, name: str, number: int, lacks: list[str]) -> None:
    """Write a line for whoever started us. The words of what is lacking are our own and need no escaping."""
    words = ", ".join(f'"{each}"' for each in lacks)
    os.write(status, f'{{"{name}": {number}, "lacks": [{words}]}}\n'.encode())


def isolate(last: dict[str, str]) -> list[str]:
    """Leave the host's namespaces; return in words what could not be left, which only a chroot accepts."""
    wanted = (_NEW_NETWORK, _NEW_PROCESSES, _NEW_IPC, _NEW_HOSTNAME)
    lacks = []
    if "--chroot" in last:
        for flag in wanted:
            try:
                call("unshare", flag)
            except OSError:
                lacks.append(_LACKING[flag])
        return lacks
    user, group = os.geteuid(), os.getegid()
    call("unshare", sum(wanted) + (_NEW_USERS if user else 0))
    if user:
        users, groups = f"{last['--uid']} {user} 1", f"{last['--gid']} {group} 1"
        for file, text in (("uid_map", users), ("setgroups", "deny"), ("gid_map", groups)):
            with open(f"/proc/self/{file}", "w") as out:
                out.write(text)
    return lacks


def supervise(steps: list[Step], command: list[str], lacks: list[str], alive: int, status: int, block: int) -> None:
    """Enter the new root, start the command, and end with it. Never returns: whatever happens ends the process."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        control(_DIE_WITH_PARENT, signal.SIGKILL)
        if not os.read(alive, 1):
            os._exit(1)  # the launcher ended before it could be our death too
        os.setsid()
        last = {name: values[-1] for name, values in steps}
        enter(steps, last, lacks)
        if not os.read(block, 1):
            os._exit(1)  # whoever started us is gone
        give_up_rights(int(last["--uid"]), int(last["--gid"]))
        give_up_calls(last, lacks)
        child = os.fork()
        if child == 0:
            execute(command, {values[0]: values[1] for name, values in steps if name == "--setenv"})
        report(status, "exit-code", reap(child), lacks)
    except OSError as error:
        os.write(2, f"sandbox: {error.strerror}{f': {error.filename}' if error.filename else ''}\n".encode())
    os._exit(0)


def enter(steps: list[Step], last: dict[str, str], lacks: list[str]) -> None:
    """Make the mounts, or change the root; go to the folder where the command starts."""
    if _LACKING[_NEW_HOSTNAME] not in lacks:
        _socket.sethostname(last["--hostname"])
    if _LACKING[_NEW_NETWORK] not in lacks:
        start_loopback()
    if "--chroot" in last:
        os.chroot(last["--chroot"])
        lacks.append("/proc is empty")
    else:
        mount_all(steps, lacks)
    os.chdir(last["--chdir"])


def start_loopback() -> None:
    """Bring up 127.0.0.1, the only address there is (netdevice(7), SIOCSIFFLAGS with IFF_UP)."""
    fcntl.ioctl(_socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM), 0x8914, struct.pack("16sh14x", b"lo", 1))


def mount_all(steps: list[Step], lacks: list[str]) -> None:
    """Leave everything of the host behind but what the steps name, and put that in its place.

    The launcher keeps the host's mounts: it may need the host's /proc to find what is to be killed.
    """
    call("unshare", _NEW_MOUNTS)
    call("mount", None, b"/", None, _RECURSIVE | _PRIVATE, None)
    held = [hold(name, values[0]) for name, values in reversed(steps) if name in ("--bind", "--ro-bind")]
    devices = {name: hold("--dev", f"/dev/{name}") for name in _DEVICES}
    processes = make_processes(lacks)
    new_root = os.path.dirname(__file__)  # any folder will do: it is covered for a moment only
    mount_memory(new_root, "1m")
    os.chdir(new_root)
    call("pivot_root", b".", b".")
    call("umount2", b".", _DETACH)
    os.chdir("/")
    last: dict[str, str] = {}
    for name, values in steps:
        last[name] = place = values[-1]
        match name:
            case "--bind" | "--ro-bind":
                put(held.pop(), place)
            case "--symlink":
                os.symlink(values[0], place)
            case "--tmpfs":
                mount_memory(place, last["--size"], last["--perms"], last["--uid"])
            case "--dev":
                make_devices(place, devices)
            case "--proc":
                os.mkdir(place)
                if processes:
                    put(processes, place)
            case "--remount-ro":
                call("syscall", _MOUNT_SETATTR, _HERE, place.encode(), 0, struct.pack("QQQQ", 1, 0, 0, 0), 32)
            case _:
                pass  # what is no mount


def hold(kind: str, path: str) -> int:
    """Take hold of a file or a folder, with all that is mounted below it, as something to be mounted elsewhere."""
    name = os.fsencode(path)
    tree = call("syscall", _OPEN_TREE, _HERE, name, _CLONE | _ALL_BELOW)
    attributes = struct.pack("QQQQ", _ATTRIBUTES[kind], 0, 0, 0)
    call("syscall", _MOUNT_SETATTR, tree, b"", _EMPTY_PATH | _ALL_BELOW, attributes, len(attributes))
    return tree


def put(tree: int, place: str) -> None:
    """Mount what is held."""
    if os.stat(tree).st_mode & 0o170000 == 0o040000:
        os.makedirs(place, exist_ok=True)
    elif not os.path.lexists(place):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_EXCL, 0o644))
    call("syscall", _MOVE_MOUNT, tree, b"", _HERE, os.fsencode(place), _MOVE_EMPTY_PATH)
    os.close(tree)


def mount_memory(place: str, size: str, mode: str = "0755", owner: str = "") -> None:
    """Mount an empty file system of a size; it is ours, or the user's that is named."""
    os.makedirs(place, exist_ok=True)
    options = f"size={size},mode={mode}" + (f",uid={owner},gid={owner}" if owner else "")
    call("mount", b"tmpfs", os.fsencode(place), b"tmpfs", _NOSUID | _NODEV, options.encode())


def make_devices(place: str, devices: dict[str, int]) -> None:
    """Make a /dev with the devices that give and take bytes, and no other."""
    mount_memory(place, "1m")
    for name, device in devices.items():
        put(device, f"{place}/{name}")
    for name, target in _DEVICE_LINKS.items():
        os.symlink(f"/proc/self/fd{target}", f"{place}/{name}")


def make_processes(lacks: list[str]) -> int:
    """Make a /proc of the own processes, to be put in its place later; 0 if there can be none.

    The kernel allows it only while the host's is in sight, and in containers of engines not at all.
    """
    try:
        kind = call("syscall", _FS_OPEN, b"proc", 1)
        call("syscall", _FS_CONFIG, kind, 6, None, None, 0)
        return call("syscall", _FS_MOUNT, kind, 1, _NOSUID | _NODEV | _NOEXEC)
    except OSError:
        lacks.append("/proc is empty")
        return 0


def give_up_rights(uid: int, gid: int) -> None:
    """Become the user inside, for good, and nobody's to look into."""
    if os.geteuid() != uid:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    control(_NO_NEW_PRIVILEGES, 1)
    control(_DUMPABLE, 0)
    control(_DIE_WITH_PARENT, signal.SIGKILL)  # a change of the user undid it


def give_up_calls(last: dict[str, str], lacks: list[str]) -> None:
    """Have the kernel refuse what a filter names (prctl(2), PR_SET_SECCOMP), for good."""
    try:
        with open(int(last["--seccomp"]), "rb") as file:
            kept = ctypes.create_string_buffer(file.read())
        call("prctl", _FILTER, 2, struct.pack("HP", len(kept) // 8, ctypes.addressof(kept)))
    except (KeyError, OSError):
        lacks.append("system calls are not filtered")


def execute(command: list[str], env: dict[str, str]) -> None:
    """Become the command, in a session of its own; never returns."""
    os.setsid()
    os.umask(0o022)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:  # what is ignored stays so
        signal.signal(number, signal.SIG_DFL)
    # os.execvpe would import a module, and those are not there any more.
    folders = [""] if "/" in command[0] else [f"{folder}/" for folder in env.get("PATH", "").split(":")]
    reason = "No such file or directory"
    for folder in folders:
        try:
            os.execve(folder + command[0], command, env)  # noqa: S606 as meant
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reason = os.strerror(error.errno or 0)
    os.write(2, f"sandbox: execvp {command[0]}: {reason}\n".encode())
    os._exit(127)


def reap(child: int) -> int:
    """Wait for the command, and bury whoever dies meanwhile; return the exit code, 128 and the number for a signal."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def sweep() -> None:
    """Kill all that is left: without a process namespace, orphans of the command have become our children."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            for child in children():
                os.kill(child, signal.SIGKILL)
            signal.sigtimedwait([signal.SIGCHLD], 0.01)


def children() -> list[int]:
    """Find the children of this process that nobody has waited for."""
    found = []
    for name in os.listdir("/proc"):  # noqa: TID251 processes, of which all will be killed
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = file.read().rpartition(b")")[2].split()[1]
        except OSError:
            continue  # no process, or one that has ended
        if int(parent) == os.getpid():
            found.append(int(name))
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
