"""Whether programs of an image can be run while it is made, and the root in which they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from buildpacks import conda_layers
from buildpacks.api import Files, Interpreter, Source
from imagebuilder.base.pins import Base, BasePins
from imagebuilder.buildroot import build_root, here, root_key
from imagebuilder.cache import Cache
from layers.digest import Digest
from layers.errors import UsageError


@dataclass(frozen=True, slots=True)
class Runnable:
    """An interpreter of an image, and the packages of its base, none of which is there for builds only."""

    packages: BasePins
    interpreter: Interpreter

    @property
    def key(self) -> Digest:
        """Hash everything that decides which files of the base and the interpreter there are."""
        return root_key(self.packages, self.interpreter)

    @property
    def interpreter_key(self) -> Digest:
        """Hash what the interpreter itself consists of; packages that the application asks for do not count."""
        base, python, _ = self.packages.tiers
        return root_key(replace(self.packages, tiers=(base, python, ())), self.interpreter)

    def root(self, cache: Cache, fetch: Callable[[Sequence[Source]], Files]) -> Path:
        """Return a folder with these files; raises what `build_root` raises."""
        return build_root(self.packages, cache, fetch, self.interpreter)


def runnable(base: Base, interpreter: Interpreter | None, *, what: str) -> Runnable:
    """Return what can be run of an image; `what` says for whom: `make bytecode`.

    Raises what `packages` raises, and UsageError IB932 if the interpreter is not one that the build chose.
    """
    found = packages(base, what=what)
    if interpreter is None or conda_layers.has(interpreter):
        raise UsageError(
            f"cannot {what}: the Python of the image is one of its packages",
            hint="this is there for environments of wheels only",
            code="IB932",
        )
    return Runnable(found, interpreter)


def packages(base: Base, *, what: str) -> BasePins:
    """Return the packages of a base whose programs can be run here, without those for builds.

    Raises UsageError IB930 for an image of another architecture, IB931 if the base is an image.
    """
    if not isinstance(base, BasePins):
        raise UsageError(
            f"cannot {what}: the base {base.name} is an image, whose programs are not run",
            hint="choose a base that is made of packages, as `debian:trixie`",
            code="IB931",
        )
    if base.architecture != here():
        raise UsageError(
            f"cannot {what}: the image is for linux/{base.architecture}, and this machine is not",
            hint="build on such a machine: the image's own Python has to run",
            code="IB930",
        )
    return replace(base, build=())
