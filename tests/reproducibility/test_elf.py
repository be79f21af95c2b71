"""Programs and libraries: why two ELF files differ."""

import shutil
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reproducibility.contents import elf
from reproducibility.difference import Difference, Known
from tests.reproducibility.pairs import content, mirrored

PROGBITS, STRTAB, DYNAMIC, NOTE, NOBITS = 1, 3, 6, 7, 8
ALLOC, EXECUTE, COMPRESSED = 2, 4, 0x800
TEXT = {".text": b"\x90" * 32}

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")


def kind_of(name: str) -> tuple[int, int]:
    if name == ".text":
        return PROGBITS, ALLOC | EXECUTE
    if name.startswith(".note"):
        return NOTE, ALLOC
    return {".dynamic": (DYNAMIC, ALLOC), ".dynstr": (STRTAB, ALLOC), ".bss": (NOBITS, ALLOC)}.get(name, (PROGBITS, 0))


def library(
    parts: Mapping[str, bytes], *, width: int = 64, order: str = "<", machine: int = 62, flags: int = 0
) -> bytes:
    """Write an ELF file of these sections. `.dynamic` is linked to the section behind it, which holds its texts."""
    head_size = 64 if width == 64 else 52
    names = b"\0" + b"\0".join(name.encode() for name in (*parts, ".shstrtab")) + b"\0"
    everything = {**parts, ".shstrtab": names}
    entry = struct.Struct(order + ("IIQQQQIIQQ" if width == 64 else "10I"))
    body, headers = b"", [entry.pack(*(0,) * 10)]
    for place, (name, value) in enumerate(everything.items(), 1):
        kind, section_flags = kind_of(name)
        start = names.index(b"\0" + name.encode() + b"\0") + 1
        link = place + 1 if name == ".dynamic" else 0
        headers.append(
            entry.pack(start, kind, section_flags | flags, 0, head_size + len(body), len(value), link, 0, 1, 0)
        )
        body += value
    head = b"\x7fELF" + bytes([2 if width == 64 else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    layout = order + ("HHIQQQIHHHHHH" if width == 64 else "HHIIIIIHHHHHH")
    table = head_size + len(body)
    head += struct.pack(
        layout, 3, machine, 1, 0, 0, table, 0, head_size, 0, 0, entry.size, len(headers), len(headers) - 1
    )
    return head + body + b"".join(headers)


def build_id(value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}III", 4, len(value), 3) + b"GNU\0" + value


def explain(left: bytes, right: bytes, *, views: bool = False) -> tuple[Difference, ...] | None:
    with content(left) as here, content(right) as there:
        return elf.differences("lib/x.so", here, there, known=Known(), views=views)


def found(left: bytes, right: bytes) -> tuple[Difference, ...]:
    differences = explain(left, right)
    assert differences is not None
    assert mirrored(differences) == explain(right, left)
    return differences


def causes(left: bytes, right: bytes) -> list[str]:
    return [one.cause for one in found(left, right)]


WAYS = [(64, "<"), (64, ">"), (32, "<"), (32, ">")]


@pytest.mark.parametrize(("width", "order"), WAYS)
def test_a_build_id_that_differs_alone_is_no_consequence(width: int, order: str) -> None:
    left, right = (
        library({".note.gnu.build-id": build_id(value, order), **TEXT}, width=width, order=order)
        for value in (b"\x01\x02", b"\x03\x04")
    )
    (one,) = found(left, right)
    assert (one.cause, one.left, one.right, one.follows) == ("build-id", "0102", "0304", False)


def test_a_build_id_follows_from_whatever_else_differs() -> None:
    left = library({".note.gnu.build-id": build_id(b"\1"), ".text": b"one"})
    right = library({".note.gnu.build-id": build_id(b"\2"), ".text": b"two"})
    assert [(one.cause, one.follows) for one in found(left, right)] == [("elf-code", False), ("build-id", True)]


@pytest.mark.parametrize(("width", "order"), WAYS)
def test_search_paths_are_read(width: int, order: str) -> None:
    entry = struct.Struct(order + ("qQ" if width == 64 else "iI"))
    table = entry.pack(29, 1) + entry.pack(0, 0)
    left, right = (
        library({".dynamic": table, ".dynstr": b"\0" + path + b"\0", **TEXT}, width=width, order=order)
        for path in (b"/opt/a", b"/opt/bb")
    )
    (one,) = found(left, right)
    assert (one.cause, one.left, one.right, one.note) == ("rpath", "/opt/a", "/opt/bb", "RUNPATH")


@pytest.mark.parametrize(("width", "order"), WAYS)
def test_paths_in_compressed_debug_information_are_found(width: int, order: str) -> None:
    parts = []
    for path in (b"/tmp/build-abc/x.c\0", b"/tmp/build-defgh/x.c\0"):
        head = struct.pack(
            order + ("IIQQ" if width == 64 else "III"),
            *(1, 0, len(path), 1)[-4 if width == 64 else 0 : 4 if width == 64 else 3],
        )
        parts.append(
            library({".debug_line_str": head + zlib.compress(path)}, width=width, order=order, flags=COMPRESSED)
        )
    (one,) = found(*parts)
    assert (one.cause, one.left, one.right) == ("elf-path", "/tmp/build-abc/x.c", "/tmp/build-defgh/x.c")


def test_machines_are_told_apart() -> None:
    (one,) = found(library(TEXT, machine=62), library(TEXT, machine=183))
    assert one.cause == "platform"
    assert one.right == "aarch64, 64 bits, little-endian, shared object"


def test_compilers_are_named() -> None:
    left = library({".comment": b"GCC: (Debian 12.2.0) 12.2.0\0", ".text": b"one"})
    right = library({".comment": b"GCC: (Debian 14.1.0) 14.1.0\0", ".text": b"two"})
    (one,) = found(left, right)
    assert (one.cause, one.left, one.note) == ("elf-code", "GCC: (Debian 12.2.0) 12.2.0", "compiler or its flags")


def test_a_section_on_one_side_is_named() -> None:
    (one,) = found(library(TEXT), library({**TEXT, ".symtab": b"names"}))
    assert (one.cause, one.note) == ("elf-code", ".symtab on one side")


def test_bytes_behind_the_sections_are_found() -> None:
    (one,) = found(library(TEXT), library(TEXT) + b"appended")
    assert (one.cause, one.note) == ("elf-code", f"bytes outside of its sections, from byte {len(library(TEXT))} on")


def test_sections_that_lie_over_each_other_are_not_compared_forever() -> None:
    sound = library(dict.fromkeys((f".s{place}" for place in range(2000)), b"x" * 500))
    broken = sound.replace(struct.pack("<QQ", 64, 500), struct.pack("<QQ", 64, 500_000))
    assert explain(sound, broken) is None


@pytest.mark.parametrize(
    "other",
    [b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(100), b"\x7fELF\x09\x09" + bytes(100), bytes(300), library(TEXT)[:90]],
)
def test_other_and_damaged_files_are_none(other: bytes) -> None:
    assert explain(library(TEXT), other) is None
    assert explain(other, library(TEXT)) is None


@pytest.fixture
def compile_c(tmp_path: Path) -> Callable[..., bytes]:
    """Return the bytes of a library that a real compiler made of a source in a folder."""

    def compile_c(folder: str, source: str, *flags: str) -> bytes:
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "x.c"
        path.write_text(source)
        made = tmp_path / folder / "x.so"
        subprocess.run(["gcc", "-shared", "-fPIC", *flags, "-o", made, path], cwd=path.parent, check=True)
        return made.read_bytes()

    return compile_c


SOURCE = "#include <assert.h>\nint f(int x) { assert(x > 1); return x * 3; }\n"
DATED = 'const char *built = __DATE__ " " __TIME__;\n'


@needs_gcc
@pytest.mark.parametrize("flags", [("-g", "-DNDEBUG"), ("-g", "-gz", "-DNDEBUG"), ("-g", "-gdwarf-4", "-DNDEBUG")])
def test_the_build_path_in_debug_information_is_found(compile_c: Callable[..., bytes], flags: tuple[str, ...]) -> None:
    left, right = compile_c("build-one", SOURCE, *flags), compile_c("build-other", SOURCE, *flags)
    assert causes(left, right) == ["elf-path", "build-id"]


@needs_gcc
def test_a_longer_path_moves_the_code(compile_c: Callable[..., bytes]) -> None:
    differences = found(compile_c("build-one", SOURCE), compile_c("build-another", SOURCE))
    assert [(one.cause, one.follows) for one in differences] == [
        ("elf-path", False), ("elf-code", True), ("build-id", True),
    ]  # fmt: skip
    assert differences[0].left.endswith("/build-one/x.c")


@needs_gcc
def test_the_time_of_the_build_is_found(compile_c: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for epoch in ("1500000000", "1700000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)  # gcc takes __DATE__ and __TIME__ from it
        made.append(compile_c("build", DATED))
    assert causes(*made) == ["timestamp", "build-id"]


@needs_gcc
def test_a_search_path_of_the_linker_is_found(compile_c: Callable[..., bytes]) -> None:
    left, right = (compile_c("build", SOURCE, f"-Wl,-rpath,{path}") for path in ("/opt/a", "/opt/longer"))
    assert causes(left, right)[0] == "rpath"
    assert all(one.follows for one in found(left, right)[1:])


@needs_gcc
def test_flags_are_told_from_debug_information(compile_c: Callable[..., bytes]) -> None:
    left, right = (compile_c("build", SOURCE, "-g", level) for level in ("-O1", "-O3"))
    (first, *_) = found(left, right)
    assert (first.cause, first.note) == ("elf-code", "compiler or its flags")
    assert "-O3" in first.right


@needs_gcc
def test_other_code_is_other_code(compile_c: Callable[..., bytes]) -> None:
    left, right = compile_c("build", SOURCE), compile_c("build", SOURCE.replace("3", "7"))
    assert causes(left, right) == ["elf-code", "build-id"]


@needs_gcc
def test_random_build_ids_are_found(compile_c: Callable[..., bytes]) -> None:
    left, right = (compile_c("build", SOURCE, "-Wl,--build-id=uuid") for _ in range(2))
    (one,) = found(left, right)
    assert (one.cause, one.follows) == ("build-id", False)


@needs_gcc
def test_the_fields_name_sections_and_texts(compile_c: Callable[..., bytes]) -> None:
    differences = explain(compile_c("build-one", SOURCE), compile_c("build-another", SOURCE), views=True)
    assert differences is not None
    assert differences[0].view is not None
    names = [line.split("\t")[0] for line in differences[0].view.lines]
    assert {"kind", "compiler", ".note.gnu.build-id", ".text", ".rodata", "text"} <= set(names)
    assert all(line.count("\t") == 2 for line in differences[0].view.lines)


def test_a_megabyte_takes_no_time() -> None:
    text = b"".join(b"/tmp/build/%06d.c\0" % place for place in range(40_000))
    code = bytes(range(256)) * 2000
    left = library({".text": code, ".debug_str": text})
    right = library({".text": code, ".debug_str": text.replace(b"build", b"other")})
    start = time.process_time()
    assert explain(left, right) is not None
    assert time.process_time() - start < 1  # a twentieth of that on an idle machine


@settings(max_examples=300)
@given(st.data(), st.binary(max_size=40))
def test_no_bytes_are_an_error(data: st.DataObject, damage: bytes) -> None:
    sound = library(
        {".note.gnu.build-id": build_id(b"\1"), ".dynamic": struct.pack("<qQ", 29, 1), ".dynstr": b"\0/a\0", **TEXT}
    )
    at = data.draw(st.integers(0, len(sound)))
    broken = sound[:at] + damage + sound[at + len(damage) :]
    differences = explain(sound, broken, views=True)
    if broken != sound and differences is not None:
        assert differences
        assert [one.cause for one in differences] == [one.cause for one in explain(broken, sound) or ()]
