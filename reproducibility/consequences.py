"""Consequences: which differences only follow from others, and the order in which all of them are told."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import get_args

from layers.values import replace
from reproducibility import packages
from reproducibility.difference import Aspect, Difference, Part
from reproducibility.listing import Held

_PARTS = {part: position for position, part in enumerate(get_args(Part))}
_ASPECTS = {aspect: position for position, aspect in enumerate(get_args(Aspect))}
# What a file is, apart from what its header says of it.
_SUBSTANCE = frozenset(("presence", "kind", "size", "content", "hard link"))


def settle(differences: Sequence[Difference], layers: Sequence[Held]) -> list[Difference]:
    """Add the packages that changed, and mark what follows from other differences.

    `layers` are those that differ, from the bottom to the top. Where everything seems to follow, nothing does: what it
    follows from would be equal.
    """
    changed = packages.Changed(layers)
    touched = {_file(each) for each in differences if _substantial(each)}
    found = [_settled(each, changed, touched, layers) for each in differences]
    found += changed.differences()
    return [replace(each, follows=False) for each in found] if all(each.follows for each in found) else found


def ordered(differences: Sequence[Difference], labels: Sequence[str]) -> tuple[Difference, ...]:
    """Sort differences: causes before what follows, documents before layers, layers as they lie, files by path."""
    positions = {label: position for position, label in enumerate(labels)}

    def key(each: Difference) -> tuple[bool, int, int, str, int, str, str, str]:
        place = _PARTS[each.part], positions.get(each.layer, -1), each.path, _ASPECTS[each.aspect]
        return (each.follows, *place, each.cause, each.left, each.right)

    return tuple(sorted(differences, key=key))


def _settled(
    each: Difference, changed: packages.Changed, touched: AbstractSet[str], layers: Sequence[Held]
) -> Difference:
    if not _substantial(each):
        return each
    if cause := changed.cause(each.path):
        return replace(each, cause=cause, follows=True)
    if each.cause == "pyc-code":
        return replace(each, follows=packages.source(each.path) in touched - {each.path})
    if each.cause == "record":
        return replace(each, follows=any(path in touched and path != each.path for path in _recorded(each, layers)))
    return each


def _recorded(record: Difference, layers: Sequence[Held]) -> set[str]:
    sides = [side for held in layers if held.label == record.layer for side in (held.left, held.right)]
    members = [side[record.path] for side in sides if record.path in side]
    return {path for member in members for path in packages.recorded(record.path, member)}


def _substantial(each: Difference) -> bool:
    return each.part == "file" and each.aspect in _SUBSTANCE


def _file(each: Difference) -> str:
    """Return the path of a file, for a part of an archive that of the archive."""
    return each.path.partition("!/")[0]
