"""A standalone CPython as the layer `/layers/cpython`, and as a part of the root in which wheels are built.

It is relocatable: programs and libraries find each other through `$ORIGIN`, and the standard library is found from the
program. Only what is said about building extensions has the paths and the compiler of its own build, and is corrected.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from buildpacks.api import Interpreter, LayerSpec
from layers import entry
from layers.content import Reader
from layers.entry import Entry
from layers.expression import expression
from layers.standalone import damaged, read_standalone
from layers.values import replace

PREFIX = "layers/cpython"
_TEXT_MAX = 4 << 20

# Without versioned names of programs for people (pip, idle, pydoc), and Tcl/Tk, which needs a display.
_RUN = expression(r"bin/python(?:3(?:\.\d+)?)?|lib/(?!lib(?:tcl|tk|itcl))[^/]+\.so(?:\.[0-9.]+)?|lib/python3\.\d+/.+")
_BUILD = expression(r"include/.+|bin/python3(?:\.\d+)?-config|lib/pkgconfig/.+|lib/python3\.\d+/config-[^/]+/.+")
# What has no use in an image: tests, editors, windows, installers, and bytecode with times in it.
_LEFT_OUT = expression(
    r"lib/python3\.\d+/(?:(?:test|idlelib|turtledemo|tkinter|ensurepip|site-packages|config-[^/]+)/.*"
    r"|(?:.*/)?(?:tests?|__pycache__)/.*|.*\.py[co]|EXTERNALLY-MANAGED"
    r"|lib-dynload/(?:_tkinter|_test|_ctypes_test|_xxtestfuzz|xxlimited)[^/]*)"
)
_DESCRIBES_BUILD = expression(
    r"bin/[^/]+-config|lib/pkgconfig/[^/]+\.pc|lib/python3\.\d+/"
    r"(?:_sysconfigdata_[^/]*\.py|_sysconfig_vars_[^/]*\.json|build-details\.json|config-[^/]+/Makefile)"
)
_CORRECTIONS = (
    # The prefix of its build, by itself and behind -I and -L.
    (expression(rb"(?:(?<![\w.+/-])|(?<=-[IL]))/install(?![\w.+-])"), f"/{PREFIX}".encode()),
    # Its compilers and archiver, with or without a folder and a target: any Debian has these under their POSIX names.
    (expression(rb"(?<![\w./+-])(?:/[\w./+-]*/)?(?:\w+-)*(?:clang|gcc)(?![\w./+-])"), b"cc"),
    (expression(rb"(?<![\w./+-])(?:/[\w./+-]*/)?(?:\w+-)*(?:clang|g)\+\+(?![\w./+-])"), b"c++"),
    (expression(rb"(?<![\w./+-])(?:/[\w./+-]*/)?llvm-(ar|ranlib)(?![\w./+-])"), rb"\1"),
)
# PEP 668: what pip says if somebody wants to install into this Python, and not into a virtual environment.
_MANAGED = b"""\
[externally-managed]
Error=This Python is a layer of an image that was made by imagebuilder.
 Name packages where the application names its own, and build the image again.
"""


def layer(interpreter: Interpreter, scratch: Path) -> LayerSpec:
    """Describe the layer of an interpreter that has an archive; it is unpacked below the folder `scratch`."""
    archive = interpreter.archive
    if archive is None:
        raise RuntimeError("an interpreter of the base is not a layer of its own")
    return LayerSpec(
        "cpython",
        {"layer": "cpython", "prefix": PREFIX, "archive": archive.digest.value},
        lambda files: entries(interpreter, files[archive.digest], scratch=scratch),
        (archive,),
        pinned=True,
    )


def entries(interpreter: Interpreter, archive: Path, *, scratch: Path, building: bool = False) -> tuple[Entry, ...]:
    """List the files of an interpreter: those that an image needs, or with `building` also those that builds need.

    `archive` is unpacked below the folder `scratch`, which has to outlive the entries. Raises IntegrityError IB890 if
    it holds another series or something else, and as `read_standalone` does.
    """
    series = interpreter.series
    found = read_standalone(archive, spool=scratch / f"cpython-{interpreter.version}-{building:d}.tar")
    for path in (f"bin/python{series}", f"lib/python{series}/os.py"):
        if path not in found:
            raise damaged(f"Python {interpreter.version} should have {path!r}")
    kept = [
        each
        for path, each in found.items()
        if (_RUN.fullmatch(path) and not _LEFT_OUT.fullmatch(path)) or (building and _BUILD.fullmatch(path))
    ]
    if not building:
        kept.append(entry.file(f"lib/python{series}/EXTERNALLY-MANAGED", _MANAGED))
    return tuple(_placed(kept))


def _placed(kept: list[Entry]) -> Iterator[Entry]:
    with closing(Reader()) as reader:
        for each in kept:
            content = each.content
            if _DESCRIBES_BUILD.fullmatch(each.path):
                content = _corrected(each, reader)
            yield replace(each, path=f"{PREFIX}/{each.path}", content=content)


def _corrected(found: Entry, reader: Reader) -> bytes:
    if found.size > _TEXT_MAX:
        raise damaged(f"{found.path!r} has {found.size} bytes")
    text = b"".join(reader.read(found.content))
    for pattern, replacement in _CORRECTIONS:
        text = pattern.sub(replacement, text)
    return text
