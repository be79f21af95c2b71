"""Whether programs of an image can be run while it is made, and the root in which they are."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from buildpacks import conda_layers
from buildpacks.api import Files, Interpreter, Source
from imagebuilder.base.pins import Base, ImagePins
from imagebuilder.buildroot import build_root, here, root_key
from imagebuilder.cache import Cache
from layers.digest import Digest
from layers.errors import UsageError
from layers.values import dataclass, replace

_alone = threading.Lock()


@dataclass(frozen=True, slots=True)
class Runnable:
    """An interpreter of an image, and its base without packages for builds."""

    base: Base
    interpreter: Interpreter

    @property
    def key(self) -> Digest:
        """Hash everything that decides which files of the base and the interpreter there are."""
        return root_key(self.base, self.interpreter)

    @property
    def interpreter_key(self) -> Digest:
        """Hash what the interpreter itself consists of; packages that the application asks for do not count."""
        if isinstance(self.base, ImagePins):
            return self.key
        base, python, _ = self.base.tiers
        return root_key(replace(self.base, tiers=(base, python, ())), self.interpreter)

    def root(self, cache: Cache, fetch: Callable[[Sequence[Source]], Files]) -> Path:
        """Return a folder with these files; raises what `build_root` raises."""
        with _alone:  # layers are made side by side, and all want the same
            return build_root(self.base, cache, fetch, self.interpreter)


def runnable(base: Base, interpreter: Interpreter | None, *, what: str) -> Runnable:
    """Return what can be run of an image; `what` says for whom: `make bytecode`.

    Raises what `base_of` raises, and UsageError IB932 if the interpreter is not one that the build chose.
    """
    found = base_of(base, what=what)
    if interpreter is None or conda_layers.has(interpreter):
        raise UsageError(
            f"cannot {what}: the Python of the image is one of its packages",
            hint="this is there for environments of wheels only",
            code="IB932",
        )
    return Runnable(found, interpreter)


def base_of(base: Base, *, what: str) -> Base:
    """Return a base whose programs can be run here, as it is without packages for builds.

    Raises UsageError IB930 for an image of another architecture.
    """
    if base.architecture != here():
        raise UsageError(
            f"cannot {what}: the image is for linux/{base.architecture}, and this machine is not",
            hint="build on such a machine: the image's own Python has to run",
            code="IB930",
        )
    return base if isinstance(base, ImagePins) else replace(base, build=())
