"""Debian: a package index becomes pins, pins become layers. No apt, no dpkg, no root, no maintainer scripts."""

from buildpacks.api import Interpreter, Target
from imagebuilder.base import pins, version
from imagebuilder.base.closure import closure
from imagebuilder.base.index import Download, PackageIndex, load_index
from imagebuilder.base.mirrors import Mirrors, candidates, find_mirrors
from imagebuilder.base.pins import BasePins, PinnedDeb
from imagebuilder.base.tiers import layer_specs
from layers.expression import expression

__all__ = [
    "BasePins",
    "Download",
    "Mirrors",
    "PackageIndex",
    "PinnedDeb",
    "candidates",
    "find_mirrors",
    "interpreters",
    "layer_specs",
    "load_index",
    "pin",
    "target",
]

# What wheels for manylinux expect of a system, and what nearly every program does: names of services, time zones,
# certificates. No shell and no package manager.
BASE = (
    "base-files",
    "ca-certificates",
    "libc-bin",
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "netbase",
    "tzdata",
    "zlib1g",
)
# Essential packages: others use their programs without saying so (Debian policy, 3.8).
ESSENTIAL = ("bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip", "mawk", "perl-base", "sed", "tar")
_PYTHON = expression(r"python3\.[0-9]+")


def interpreters(index: PackageIndex) -> tuple[Interpreter, ...]:
    """Return the CPythons a suite has: the one that its package `python3` stands for, then the others, newest first.

    The first is what the suite's own software runs on; newer ones are there long before all packages have wheels.
    """
    packages = [package for name in index.stanzas if _PYTHON.fullmatch(name) and (package := index.newest(name))]
    packages.sort(key=lambda package: version.key(package.deb.version), reverse=True)
    default = index.newest("python3")
    if default:
        packages.sort(
            key=lambda package: not default.deb.version.startswith(package.deb.name.removeprefix("python") + ".")
        )
    return tuple(
        Interpreter(
            version=package.deb.version.rpartition(":")[2].rpartition("-")[0].replace("~", ""),
            executable=f"/usr/bin/{package.deb.name}",
            origin=f"debian:{index.suite}",
            packages=(package.deb.name,),
        )
        for package in packages
    )


def target(index: PackageIndex) -> Target:
    """Say what wheels have to fit that are chosen for a suite."""
    return pins.target(index.suite, index.architecture, (package.deb for package in closure(index, ["libc6"]).values()))


def pin(
    index: PackageIndex,
    *,
    interpreter: Interpreter | None,
    packages: tuple[str, ...],
    build_packages: tuple[str, ...] = (),
) -> BasePins:
    """Choose the newest packages: the base, the interpreter, those asked for, and all they depend on.

    There are always three tiers; one may be empty. With packages for builds come the headers of the interpreter, and
    what every Debian has, since build scripts expect it. Raises BuildError IB554 if the suite has no such package (the
    nearest names are in the hint), IB555 if one of its dependencies cannot be met.
    """
    base = closure(index, BASE)
    python = closure(index, interpreter.packages if interpreter else (), below=base)
    rest = closure(index, packages, below={**base, **python})
    needed = (*build_packages, *ESSENTIAL, *_headers(index, interpreter)) if build_packages else ()
    build = closure(index, needed, below={**base, **python, **rest})
    *tiers, build_tier = (tuple(package.deb for package in tier.values()) for tier in (base, python, rest, build))
    return BasePins(index.suite, index.architecture, index.snapshot, tuple(tiers), build_tier)


def _headers(index: PackageIndex, interpreter: Interpreter | None) -> tuple[str, ...]:
    names = (f"lib{name}-dev" for name in (interpreter.packages if interpreter else ()))
    return tuple(name for name in names if index.newest(name))
