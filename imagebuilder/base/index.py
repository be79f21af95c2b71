"""The package index: what a suite has, from its signed Release files down to every package's hash."""

from collections.abc import Callable
from dataclasses import dataclass

from imagebuilder.base.mirrors import Mirrors

Download = Callable[[str, int], bytes]


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """The packages of a suite with its updates, for one architecture."""

    suite: str
    architecture: str
    snapshot: str


def load_index(suite: str, architecture: str, *, mirrors: Mirrors, download: Download) -> PackageIndex:
    """Fetch, verify and read the index of a suite. `download` is given an address and a limit in bytes.

    Raises UsageError IB556 for a suite or architecture that is not offered, IntegrityError IB550 to IB553 if what the
    mirror serves is not signed by the keyring, too old, of another suite, or not what the signed file promises.
    """
    raise NotImplementedError
