"""What a base image offers an application: interpreters, a C library, certificates and shells, found in its files.

Nothing of the image is run. A version is read from the program itself, which has it as a string; where it cannot be
found there, the headers or the image's own PYTHON_VERSION say it.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from buildpacks.api import Interpreter
from imagebuilder import documents
from imagebuilder.base.overlay import Reader
from imagebuilder.base.root import Root
from layers.canonical import Json
from layers.entry import Kind
from layers.expression import expression
from layers.values import dataclass

# What a config without PATH means, as engines have it.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Bundles of authorities: Debian and Alpine, Red Hat, SUSE, others.
_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
# Programs by the Debian package that buildpacks ask for, to have them.
_PROGRAMS = {"bash": "bash", "coreutils": "env", "dash": "sh"}
# Those, what stands behind `sh`, and names of interpreters without a version.
_OTHERS = frozenset({*_PROGRAMS.values(), "busybox", "dash", "python", "python3"})

# An interpreter stands in the first line of scripts and in pyvenv.cfg, which have no quotes.
_PLAIN = expression(r"[A-Za-z0-9._/+-]+")
_PYTHON = expression(r"python(3\.[0-9]+)")
_LIBPYTHON = expression(r"(?:.*/)?libpython(3\.[0-9]+)\.so\.1\.0")
_HEADER = expression(r"(?:.*/)?include/python3\.\d+/patchlevel\.h")
_LIBC = expression(r"(?:usr/)?lib(?:64)?/(?:[a-z0-9_]+-linux-gnu/)?libc(?:\.so\.6|-2\.\d+\.so)")
_MUSL = expression(r"(?:usr/)?lib/ld-musl-\w+\.so\.1")
_RELEASE = expression(r"(?:etc|usr/lib)/os-release")

_HEADER_VERSION = expression(rb'#define\s+PY_VERSION\s+"([^"+]+)')
_LIBC_VERSION = expression(rb"GNU C Library [^\n]{0,200}?release version (\d+\.\d+)")
_RELEASE_LINE = expression(r'^(ID|VERSION_ID)="?([\w.-]+)"?$', re.MULTILINE)
_FULL_VERSION = expression(r"3\.[0-9]+\.[0-9]+(?:(?:a|b|rc)[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Found:
    """What an application can use of a base image.

    `interpreters` are those on its PATH that every user may run, the image's own `python3` first. `python` is the path
    of the program that is called so, empty if none is. `glibc` is `2.41`; without one, `musl` says whether that is why.
    `certificates` is the path of the bundle of authorities. `shells` are Debian's names of packages whose programs are
    there.
    """

    interpreters: tuple[Interpreter, ...]
    python: str
    glibc: str
    musl: bool
    distribution: str
    certificates: str
    shells: tuple[str, ...]


def wanted(path: str) -> Reader | None:
    """Say which files matter, and what is kept of their contents."""
    folder, _, name = path.rpartition("/")
    if posixpath.basename(folder) in ("bin", "sbin"):
        if match := _PYTHON.fullmatch(name):
            return partial(_program_version, match[1])
        return _nothing if name in _OTHERS else None
    if match := _LIBPYTHON.fullmatch(path):
        return partial(_program_version, match[1])
    if _HEADER.fullmatch(path):
        return partial(_first, _HEADER_VERSION)
    if _LIBC.fullmatch(path):
        return partial(_first, _LIBC_VERSION)
    if _RELEASE.fullmatch(path):
        return lambda content: content[: 64 << 10]
    return _nothing if _MUSL.fullmatch(path) or f"/{path}" in _CERTIFICATES or _is_bundle(path) else None


def examine(root: Root, variables: Mapping[str, str], *, origin: str) -> Found:
    """Look at what `wanted` kept of all layers; `variables` are the environment that the image's config sets."""
    folders = [root.follow(folder) for folder in variables.get("PATH", _PATH).split(":") if folder.startswith("/")]
    folders = list(dict.fromkeys(folders))
    distribution = dict(_RELEASE_LINE.findall(_text(root, "etc/os-release")))
    return Found(
        interpreters=tuple(_interpreters(root, folders, variables.get("PYTHON_VERSION", ""), origin)),
        python=next((f"/{real}" for folder in folders if (real := _file(root, f"{folder}/python"))), ""),
        glibc=next(
            (text for path in sorted(root.entries) if _LIBC.fullmatch(path) and (text := _text(root, path))), ""
        ),
        musl=any(_MUSL.fullmatch(path) for path in root.entries),
        distribution=":".join(filter(None, (distribution.get("ID", ""), distribution.get("VERSION_ID", "")))),
        certificates=next((path for path in _CERTIFICATES if _file(root, path[1:])), ""),
        shells=tuple(
            package
            for package, program in _PROGRAMS.items()
            if any(_file(root, f"{folder}/{program}") for folder in ("bin", "usr/bin"))
        ),
    )


def to_json(found: Found) -> dict[str, Json]:
    """Return what was found as a document, as the lock and the cache keep it."""
    return {
        "distribution": found.distribution,
        "glibc": found.glibc,
        "musl": found.musl,
        "python": found.python,
        "certificates": found.certificates,
        "shells": found.shells,
        "interpreters": [{"version": each.version, "executable": each.executable} for each in found.interpreters],
    }


def from_json(content: bytes, *, origin: str) -> Found:
    """Read such a document from the cache."""
    document = documents.parse(content, "probe")
    return Found(
        interpreters=tuple(
            Interpreter(each.text("version"), each.text("executable"), origin)
            for each in document.children("interpreters")
        ),
        python=document.text("python"),
        glibc=document.text("glibc"),
        musl=document.fields["musl"] is True,
        distribution=document.text("distribution"),
        certificates=document.text("certificates"),
        shells=document.texts("shells"),
    )


def _interpreters(root: Root, folders: Iterable[str], declared: str, origin: str) -> Iterator[Interpreter]:
    seen = set()
    for path, series in (found for folder in folders for found in _programs(root, folder)):
        # The program itself: where a link lies says nothing of where its library is.
        real = _file(root, path)
        # Nobody but root may enter its home.
        if real in seen or real.startswith("root/") or not (_PLAIN.fullmatch(real) and root.entries[real].mode & 0o001):
            continue
        seen.add(real)
        if version := _version(root, real, series, declared):
            yield Interpreter(version, f"/{real}", origin)


def _programs(root: Root, folder: str) -> list[tuple[str, str]]:
    """Return path and series of each `python3.N` of a folder: what `python3` stands for, then the newest first."""
    found = [
        (path, match[1])
        for path in root.entries
        if path.rpartition("/")[0] == folder and (match := _PYTHON.fullmatch(posixpath.basename(path)))
    ]
    default = root.follow(f"{folder}/python3")
    return sorted(
        found, key=lambda each: (root.follow(each[0]) != default, [-int(part) for part in each[1].split(".")])
    )


def _version(root: Root, program: str, series: str, declared: str) -> str:
    prefix = posixpath.dirname(posixpath.dirname(program))
    libraries = [path for path in sorted(root.entries) if path.endswith(f"/libpython{series}.so.1.0")]
    library = next((path for path in libraries if path.startswith(f"{prefix}/lib")), "")
    header = root.place(f"{prefix}/include/python{series}/patchlevel.h")
    versions = (_text(root, program), _text(root, library), _text(root, header), declared)
    return next((each for each in versions if each.startswith(f"{series}.") and _FULL_VERSION.fullmatch(each)), "")


def _program_version(series: str, content: bytes) -> bytes:
    """Find the text that `Py_GetVersion` begins with: the version of the series, and nothing but `+` behind it."""
    return _first(re.compile(rb"(?<![\d.])(" + re.escape(series).encode() + rb"\.\d+(?:(?:a|b|rc)\d+)?)\+?\0"), content)


def _first(pattern: re.Pattern[bytes], content: bytes) -> bytes:
    match = pattern.search(content)
    return match[1] if match else b""


def _nothing(_content: bytes) -> bytes:
    return b""


def _is_bundle(path: str) -> bool:
    """Where Red Hat's link to its bundle leads."""
    return path == "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"


def _file(root: Root, path: str) -> str:
    """Return where a path leads if that is a file that was kept, else nothing."""
    real = root.follow(path)
    return real if real in root.entries and root.entries[real].kind is Kind.FILE else ""


def _text(root: Root, path: str) -> str:
    real = _file(root, path)
    content = root.entries[real].content if real else b""
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
