"""The filter of system calls, run by a small interpreter of its own; tests/test_hostile_builds.py has the kernel's."""

import errno
import re
import struct
from pathlib import Path

import pytest

from imagebuilder.sandbox import calls

# Of linux/audit.h; read, openat, clone and socket of either.
MACHINES = {"x86_64": (0xC000003E, (0, 257, 56, 41)), "aarch64": (0xC00000B7, (63, 56, 220, 198))}
HEADERS = (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h"))
SIGCHLD, NEW_USERS, THREAD = 17, 0x10000000, 0x003D0F00


def answer(program: bytes, kind: int, number: int, argument: int = 0) -> int:
    """Say what a filter answers: 0 if it allows a call, or the error."""
    data = struct.pack("=IIQ6Q", number, kind, 0, argument, 0, 0, 0, 0, 0)
    held, at = 0, 0
    while True:
        code, skip, otherwise, value = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        match code:
            case 0x20:
                (held,) = struct.unpack_from("=I", data, value)
            case 0x06:
                assert value == 0x7FFF0000 or value >> 16 == 0x0005
                return value & 0xFFFF
            case _:
                holds = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
                at += skip if holds else otherwise


@pytest.mark.parametrize("machine", MACHINES)
def test_a_build_may_do_what_programs_do(machine: str) -> None:
    program, (kind, numbers) = calls.program(machine), MACHINES[machine]
    assert [answer(program, kind, number) for number in numbers] == [0, 0, 0, 0]
    assert [answer(program, kind, numbers[2], flags) for flags in (SIGCHLD, THREAD)] == [0, 0]


@pytest.mark.parametrize("machine", MACHINES)
def test_what_no_build_needs_is_refused(machine: str) -> None:
    program, (kind, numbers) = calls.program(machine), MACHINES[machine]
    refused = [each[list(MACHINES).index(machine)] for each in calls.NUMBERS.values()]
    assert len(set(refused)) == len(refused) > 35
    assert {answer(program, kind, number) for number in refused} == {errno.EPERM}
    assert answer(program, kind, numbers[2], NEW_USERS | SIGCHLD) == errno.EPERM
    assert {number for number in range(512) if answer(program, kind, number)} == {*refused, 435}


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_that_cannot_be_looked_into_are_unknown(machine: str) -> None:
    program, (kind, _) = calls.program(machine), MACHINES[machine]
    assert answer(program, kind, 435) == errno.ENOSYS, "clone3"
    assert answer(program, kind, 0x40000000 + 101) == errno.ENOSYS, "the second kind of x86-64"
    assert answer(program, 0x40000003, 26) == errno.ENOSYS, "32 bits"


def test_other_processors_have_no_filter() -> None:
    assert calls.program("riscv64") == b""


@pytest.mark.parametrize(("column", "header"), list(enumerate(HEADERS)), ids=MACHINES)
def test_the_numbers_are_those_of_the_kernel(column: int, header: Path) -> None:
    if not header.exists():
        pytest.skip("the headers of the kernel are not here")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    for name, numbers in calls.NUMBERS.items():
        assert known[name] == str(numbers[column]), name
