"""Libraries: what the extension modules of wheels ask of the system, and neither wheels nor the image bring.

A wheel for manylinux may rely on some libraries of the system, and many rely on more (libGL.so.1, libpq.so.5). What is
missing shows only when the module is imported; so the dynamic sections are read when the wheels are chosen.
"""

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from buildpacks.api import Files, PinnedWheel, Source
from layers import elf, scratch
from layers.content import Reader
from layers.entry import Stored
from layers.errors import BuildError
from layers.values import dataclass
from layers.wheel import read_wheel
from layers.zip import Member

AUTO = "auto"

# The packages that every base has: libc6, libgcc-s1, libstdc++6, zlib1g.
_ALWAYS = (
    *("ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2", "libanl.so.1", "libc.so.6", "libdl.so.2", "libgcc_s.so.1"),
    *("libm.so.6", "libmvec.so.1", "libnsl.so.1", "libpthread.so.0", "libresolv.so.2", "librt.so.1"),
    *("libstdc++.so.6", "libutil.so.1", "libz.so.1"),
)
_SHOWN = 3

# Of names of libraries and headers to the packages that have them, the likeliest first.
Lookup = Callable[[Collection[str]], Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Library:
    """A library that wheels need and do not bring, by its SONAME; who needs it; Debian's packages that have it.

    The likeliest package comes first. There is none if no package has the library, or nobody could be asked.
    """

    name: str
    needed_by: tuple[str, ...]
    packages: tuple[str, ...] = ()


def find(
    wheels: Iterable[PinnedWheel],
    *,
    fetch: Callable[[Sequence[Source]], Files],
    packages_with: Lookup,
    scratch_root: Path,
    strict: bool,
) -> tuple[Library, ...]:
    """Return what the libraries in wheels need and no wheel brings.

    A library counts as brought wherever in a wheel it lies: how it is found there is the wheels' own affair. If nobody
    can be asked which packages have what is missing, that is an error only if `strict`.
    """
    native = {
        wheel.name: source
        for wheel in wheels
        for source in wheel.sources
        if not wheel.built and not source.name.endswith("-any.whl")
    }
    if not native:
        return ()
    files = fetch([*native.values()])
    brought: set[str] = set()
    users: dict[str, set[str]] = {}
    with scratch.folder(scratch_root) as unpacked:
        for project, source in native.items():
            for name, library in _libraries(files[source.digest], unpacked):
                brought |= {name, library.soname}
                for needed in library.needed:
                    users.setdefault(needed, set()).add(project)
    names = sorted(users.keys() - brought - {*_ALWAYS})
    packages = _ask(packages_with, names, strict=strict) if names else {}
    return tuple(Library(name, tuple(sorted(users[name])), tuple(packages.get(name, ()))) for name in names)


def to_add(found: Iterable[Library]) -> frozenset[str]:
    """Return the packages that bring the libraries."""
    return frozenset(each.packages[0] for each in found if each.packages)


def missing(found: Iterable[Library], there: Collection[str]) -> tuple[Library, ...]:
    """Return the libraries that none of the packages that are there has."""
    return tuple(each for each in found if not {*each.packages} & {*there})


def warnings(lacking: Iterable[Library]) -> list[str]:
    """Say what is missing and what to do: once for all libraries of the same wheels."""
    groups: dict[tuple[tuple[str, ...], bool], list[Library]] = {}
    for each in lacking:
        groups.setdefault((each.needed_by, bool(each.packages)), []).append(each)
    return [_warning(users, found) for (users, _), found in sorted(groups.items())]


def _warning(users: tuple[str, ...], found: Sequence[Library]) -> str:
    who = f"{_some(users)} {'needs' if len(users) == 1 else 'need'} {_some([each.name for each in found])}"
    what = f"{who}, which {'is' if len(found) == 1 else 'are'} not in the image"
    packages = ", ".join(f'"{name}"' for name in sorted(to_add(found)))
    if packages:
        return f'{what}: add packages = [{packages}], or "auto"'
    return f"{what}, and no package of Debian is known to have {'it' if len(found) == 1 else 'them'}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _ask(packages_with: Lookup, names: Sequence[str], *, strict: bool) -> Mapping[str, Sequence[str]]:
    try:
        return packages_with(names)
    except BuildError:
        if strict:
            raise
        return {}


def _libraries(wheel: Path, unpacked: Path) -> Iterable[tuple[str, elf.SharedObject]]:
    with closing(Reader()) as reader:
        for member in read_wheel(wheel).members.values():
            name = posixpath.basename(member.name)
            if ".so" in name and (library := _library(member, reader, unpacked / "library")):
                yield name, library


def _library(member: Member, reader: Reader, unpacked: Path) -> elf.SharedObject | None:
    content = member.content()
    if isinstance(content, Stored):
        return elf.shared_object(content)
    with unpacked.open("wb") as file:
        file.writelines(reader.read(content))
    return elf.shared_object(Stored(unpacked, 0, member.size))
