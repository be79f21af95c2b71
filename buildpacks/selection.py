"""Selection: of a PEP 751 document, the wheels for one interpreter and target.

The host does not count: markers and tags are those of the target. Of everything that decides, only the interpreter,
the architecture and the glibc of the base can differ from image to image.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from buildpacks.api import Interpreter, PinnedWheel, Source, Target
from layers.canonical import Json
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError

if TYPE_CHECKING:
    from packaging.markers import Environment
    from packaging.pylock import Package, PackageArchive, PackageSdist, PackageWheel
    from packaging.tags import Tag

# The kernel's name of an architecture of the OCI image specification.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# No manylinux tag is older (PEP 513: manylinux1 is glibc 2.5).
_OLDEST_GLIBC = 5
# Source distributions; those of other kinds are older than wheels.
ARCHIVES = (".tar.gz", ".zip")
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}


def select(
    pylock: Mapping[str, Json],
    interpreter: Interpreter,
    target: Target,
    *,
    hashes: Mapping[str, frozenset[str]],
    urls: Mapping[str, str],
    extras: frozenset[str] = frozenset(),
    groups: frozenset[str] = frozenset(),
    unpublished: "Callable[[Package], PinnedWheel] | None" = None,
    indexes: Mapping[str, str] | None = None,
) -> tuple[PinnedWheel, ...]:
    """Choose one wheel of each package, or its source where no wheel fits; sorted by name.

    `hashes` are those the user allows, and `urls` the addresses of wheels as the user wrote them, both by project;
    `extras` and `groups` are those of the document that are wanted; `unpublished` pins folders and repositories.
    `indexes` names by project the only index that may have it.
    Raises BuildError IB407 if no wheel fits or IB411 for a document that cannot be used, IntegrityError IB409 if the
    user allows none of the files.
    """
    from packaging.markers import UndefinedComparison
    from packaging.pylock import Pylock, PylockSelectError, PylockValidationError  # only what is not locked is selected

    try:
        fitting = tuple(tags(interpreter, target))
        packages = pylock.get("packages")
        if hashes and isinstance(packages, Sequence) and not isinstance(packages, str):
            pylock = {**pylock, "packages": [_narrowed(package, hashes) for package in packages]}
        chosen = Pylock.from_dict(pylock).select(
            environment=environment(interpreter, target), tags=fitting, extras=extras, dependency_groups=groups
        )
        wheels = [
            unpublished(package)
            if unpublished and (package.directory or package.vcs)
            else _pinned(package, file, frozenset(fitting), urls=urls, index=(indexes or {}).get(package.name, ""))
            for package, file in chosen
        ]
    except PylockValidationError as error:
        raise BuildError(
            f"cannot use the pins: {error}", hint="report this with the requirements that led to it", code="IB411"
        ) from error
    except (PylockSelectError, UndefinedComparison) as error:
        raise _no_wheel(str(error)) from error
    for wheel in wheels:
        _check_allowed(wheel, hashes)
    return tuple(sorted(wheels, key=lambda wheel: wheel.name))


def environment(interpreter: Interpreter, target: Target) -> "Environment":
    """Return the values of all markers (PEP 508) as they are in the image; what only a running host has is empty."""
    return {
        "implementation_name": "cpython",
        "implementation_version": interpreter.version,
        "os_name": "posix",
        "platform_machine": MACHINES[target.platform.architecture],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": interpreter.version,
        "python_version": interpreter.series,
        "sys_platform": "linux",
    }


def tags(interpreter: Interpreter, target: Target) -> "Iterator[Tag]":
    """Yield the tags (PEP 425) that fit, best first. musllinux is never among them: every base of ours has glibc."""
    from packaging.tags import compatible_tags, cpython_tags  # only what is not locked is selected

    major, minor = (int(part) for part in interpreter.series.split("."))
    platforms = list(_platforms(target))
    # Without `abis` the build flags of the host's interpreter would decide.
    yield from cpython_tags((major, minor), abis=[f"cp{major}{minor}"], platforms=platforms)
    yield from compatible_tags((major, minor), interpreter=f"cp{major}{minor}", platforms=platforms)


def _platforms(target: Target) -> Iterator[str]:
    machine = MACHINES[target.platform.architecture]
    major, newest = target.glibc
    for minor in range(newest, _OLDEST_GLIBC - 1, -1):
        yield f"manylinux_{major}_{minor}_{machine}"
        if legacy := _LEGACY.get((major, minor)):
            yield f"{legacy}_{machine}"
    yield f"linux_{machine}"


def _narrowed(package: Json, hashes: Mapping[str, frozenset[str]]) -> Json:
    """Leave out the wheels that the user does not allow, unless nothing would be left: then the choice is refused."""
    wheels = package.get("wheels") if isinstance(package, Mapping) else None
    if not isinstance(package, Mapping) or isinstance(wheels, str) or not isinstance(wheels, Sequence):
        return package
    allowed = hashes.get(str(package.get("name")), frozenset())
    kept = [wheel for wheel in wheels if _sha256(wheel) in allowed]
    if not kept and _sha256(package.get("sdist")) in allowed:
        return {key: value for key, value in package.items() if key != "wheels"}
    return {**package, "wheels": kept or wheels}


def _sha256(file: Json) -> str:
    hashes = file.get("hashes") if isinstance(file, Mapping) else None
    return f"sha256:{hashes.get('sha256')}" if isinstance(hashes, Mapping) else ""


def _check_allowed(wheel: PinnedWheel, hashes: Mapping[str, frozenset[str]]) -> None:
    if wheel.name not in hashes:
        return
    (source, *_) = wheel.sources or (None,)
    if source is None or source.digest.value not in hashes[wheel.name]:
        raise IntegrityError(
            f"{wheel.name} {wheel.version}: no file has a hash that the requirements allow",
            details=(f"found {source.digest} for {source.name}",) if source else (),
            hint=f"check where {wheel.name} comes from, then write its sha256 with --hash",
            code="IB409",
        )


def _pinned(
    package: "Package", file: object, fitting: "frozenset[Tag]", *, urls: Mapping[str, str], index: str
) -> PinnedWheel:
    from packaging.pylock import PackageArchive, PackageSdist, PackageWheel  # only what is not locked is selected

    version = str(package.version or "")
    if isinstance(file, PackageWheel):
        source = Source("wheel", file.filename, _digest(package, file), file.size, package.name, index)
    elif isinstance(file, PackageSdist):
        source = Source("sdist", file.filename, _digest(package, file), file.size, package.name, index)
    elif isinstance(file, PackageArchive):
        source = _from_address(package, file, fitting, urls=urls)
        version = version or source.name.split("-")[1]
    else:
        raise BuildError(
            f"{package.name} is a folder or a repository, which a package cannot be built with",
            hint="name a released version, or build a wheel of it and serve it with --find-links",
            code="IB315",
        )
    return PinnedWheel(package.name, version, source)


def _from_address(
    package: "Package", file: "PackageArchive", fitting: "frozenset[Tag]", *, urls: Mapping[str, str]
) -> Source:
    from packaging.utils import parse_wheel_filename  # only what is not locked is selected

    name = file.url or "a file without an address"
    try:
        parts = urlsplit(file.url or "")
        name = unquote(posixpath.basename(parts.path))
        if not name.endswith(ARCHIVES) and not parse_wheel_filename(name)[3] & fitting:
            raise _no_wheel(f"{name} does not fit the image")
    except ValueError as error:
        raise _no_wheel(f"{name} is no wheel") from error
    found = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
    return Source("url", name, _digest(package, file), file.size, urls.get(package.name, found))


def _digest(package: "Package", file: "PackageWheel | PackageSdist | PackageArchive") -> Digest:
    if "sha256" not in file.hashes:
        raise BuildError(
            f"cannot pin {package.name}: its file has no sha256",
            hint="use an index that gives sha256 hashes",
            code="IB411",
        )
    return Digest(f"sha256:{file.hashes['sha256']}")


def _no_wheel(reason: str) -> BuildError:
    return BuildError(
        f"no wheel fits the image: {reason}",
        hint="choose another version of the package or of Python, or build a wheel and serve it with --find-links",
        code="IB407",
    )
