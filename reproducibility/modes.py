"""Modes that a umask explains: bits that one side lacks throughout a folder."""

from collections import Counter
from collections.abc import Iterable

from layers.values import dataclass
from reproducibility.listing import Member

_UMASKS = (0o002, 0o007, 0o022, 0o027, 0o077)


@dataclass(frozen=True, slots=True)
class _Mode:
    """A path and its modes: that of the side which may have more bits, and that of the other one."""

    path: str
    more: int
    less: int

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]


def by_umask(pairs: Iterable[tuple[Member, Member]]) -> dict[str, int]:
    """Return the paths whose modes differ by a umask, with it.

    One umask, on one side, has to explain them, and most of what it could have changed in their folders has to be
    changed: a file that alone among its neighbours has another mode was given it on purpose.
    """
    alike = [(one, other) for one, other in pairs if one.kind == other.kind != "symbolic link"]
    modes = [(one.path, one.meta.mode, other.meta.mode) for one, other in alike]
    sides = [_Mode(*mode) for mode in modes], [_Mode(path, right, left) for path, left, right in modes]
    explained = ((umask, side, _explained(umask, side)) for umask in _UMASKS for side in sides)
    # Of sides that are equally good the first path decides: exchanged, they still give the same.
    umask, side, found = min(explained, key=lambda each: (-len(each[2]), each[0], [mode.path for mode in each[2][:1]]))
    changed = Counter(mode.folder for mode in found)
    changeable = Counter(mode.folder for mode in side if mode.more & umask)
    return {mode.path: umask for mode in found if 2 * changed[mode.folder] > changeable[mode.folder]}


def _explained(umask: int, modes: list[_Mode]) -> list[_Mode]:
    return [mode for mode in modes if mode.less == mode.more & ~umask != mode.more]
