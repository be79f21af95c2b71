"""Contents: which packages of a suite have a file. Debian's list of all files is large, and rarely needed.

It lists paths as they were before / and /usr were merged. Libraries are looked for where the linker does, headers (by
the name that `#include` has) wherever a package may put them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from imagebuilder.base.index import Download
from imagebuilder.base.mirrors import Mirrors
from imagebuilder.base.release import read_release
from layers import gunzip
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.expression import expression

# Of a digest and the way to get it: the bytes.
Keep = Callable[[Digest, Callable[[], bytes]], bytes]

_RELEASE_MAX = 4 << 20
_CONTENTS_MAX = 128 << 20
_PLAIN_MAX = 4 << 30
_LINE_MAX = 1 << 20
_FOLDERS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_NAME = expression(r"[a-z0-9][a-z0-9+.-]+")
_HEADER = expression(r".*\.(h|hh|hpp|hxx)")


def packages_with(
    names: Collection[str], suite: str, architecture: str, *, mirrors: Mirrors, download: Download, keep: Keep
) -> Mapping[str, tuple[str, ...]]:
    """Return for each library or header the packages that have it, the likeliest first; nothing if nobody has it.

    `keep` remembers the list by its hash. Raises IntegrityError as reading the index of packages does, and IB557 for
    a damaged list.
    """
    root = f"{mirrors.debian}/dists/{suite}"
    release = read_release(
        download(f"{root}/InRelease", _RELEASE_MAX),
        codename=suite,
        keyring=mirrors.keyring,
        check_age=mirrors.check_age,
    )
    path = f"main/Contents-{architecture}.gz"
    digest, size = release.files.get(path, (None, 0))
    if digest is None or size > _CONTENTS_MAX:
        raise _damaged(suite, f"it has no {path} of a usual size")
    file = f"main/by-hash/SHA256/{digest.hex}" if release.by_hash else path
    packed = keep(digest, lambda: download(f"{root}/{file}", size))
    if Digest.of(packed) != digest:
        raise _damaged(suite, f"{path} is not what the signed Release file promises")
    headers = {name for name in names if _HEADER.fullmatch(name)}
    return _find(packed, {*names} - headers, headers, _FOLDERS[architecture])


def _find(
    packed: bytes, libraries: Collection[str], headers: Collection[str], folder: str
) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[tuple[int, int, str]]] = {}
    marks = tuple(f"{place}/".encode() for place in (f"lib/{folder}", "lib"))
    for line in _lines(packed):
        path, _, packages = line.rpartition(b" ")
        place, slash, name = path.rstrip().rpartition(b"/")
        if (place + slash).removeprefix(b"usr/") in marks and (text := name.decode("utf-8", "replace")) in libraries:
            found.setdefault(text, set()).update(_owners(packages, 0))
        elif headers and place.startswith(b"usr/include"):
            for header in headers:
                if path.rstrip().endswith(f"/{header}".encode()):
                    found.setdefault(header, set()).update(_owners(packages, place.count(b"/")))
    return {name: tuple(dict.fromkeys(owner for *_, owner in sorted(owners))) for name, owners in found.items()}


def _owners(packages: bytes, depth: int) -> Iterator[tuple[int, int, str]]:
    """Yield packages after what sorts them, the likeliest first.

    Variants of a library have longer names than the package that all others depend on; a header further down in the
    tree is somebody's copy.
    """
    for package in packages.decode("utf-8", "replace").split(","):
        if _NAME.fullmatch(name := package.rpartition("/")[2]):
            yield depth, len(name), name


def _lines(packed: bytes) -> Iterator[bytes]:
    size, rest = 0, b""
    for chunk in gunzip.plain(_pieces(packed)):
        size += len(chunk)
        if size > _PLAIN_MAX or len(rest) > _LINE_MAX:
            raise _damaged("the list of files", "it unpacks to more than such a list has")
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    yield rest


def _pieces(packed: bytes) -> Iterable[bytes]:
    view = memoryview(packed)
    return (bytes(view[at : at + (1 << 20)]) for at in range(0, len(packed), 1 << 20))


def _damaged(what: str, how: str) -> IntegrityError:
    return IntegrityError(
        f"the package index of {what} is damaged: {how}", hint="try again, or choose another mirror", code="IB553"
    )
