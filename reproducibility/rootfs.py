"""File systems: what is left of the layers of an image once they lie on top of each other (image-spec, layer.md)."""

from collections.abc import Sequence

from layers.values import replace
from reproducibility.listing import Listing, Member, Members

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


def merge(layers: Sequence[Listing]) -> Members:
    """Lay layers, given from the bottom, on top of each other.

    Whiteouts do their work and go. All names of one file become files with its content, each but the first with that
    one as its `link`, so that names of one file can be told from copies.
    """
    visible: dict[str, Member] = {}
    above = _Above()
    for depth in reversed(range(len(layers))):
        for path, member in layers[depth].members.items():
            if not path.rpartition("/")[2].startswith(_WHITEOUT) and above.shows(path):
                visible[path] = member if member.kind != "hard link" else _resolved(member, layers[: depth + 1])
        above.add(layers[depth].members)
    return _linked(visible)


class _Above:
    """What the layers taken in so far say of paths below them: there already, deleted, or below something new."""

    def __init__(self) -> None:
        self._is_folder: dict[str, bool] = {}
        self._deleted: set[str] = set()
        self._opaque: set[str] = set()

    def add(self, members: Members) -> None:
        """Take in the next layer below."""
        for path, member in members.items():
            folder, _, name = path.rpartition("/")
            if name == _OPAQUE:
                self._opaque.add(folder)
            elif name.startswith(_WHITEOUT):
                self._deleted.add(f"{folder}/{name.removeprefix(_WHITEOUT)}".removeprefix("/"))
            else:
                self._is_folder.setdefault(path, member.kind == "folder")

    def shows(self, path: str) -> bool:
        """Whether a path of the next layer below is seen."""
        if path in self._is_folder or path in self._deleted:
            return False
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            if folder in self._opaque or folder in self._deleted or not self._is_folder.get(folder, True):
                return False
        return True


def _resolved(member: Member, layers: Sequence[Listing]) -> Member:
    """Return a hard link as the file that it is a name of, in its own layer or the nearest one below that has it."""
    found, seen = member, {member.path}
    while found.kind == "hard link" and found.link not in seen:
        seen.add(found.link)
        target = next((layer.members[found.link] for layer in reversed(layers) if found.link in layer.members), None)
        if target is None:
            return member
        found = target
    return replace(found, path=member.path) if found.kind != "hard link" else member


def _linked(members: Members) -> Members:
    names: dict[tuple[int, int], str] = {}
    linked: dict[str, Member] = {}
    for path in sorted(members):
        member = members[path]
        first = names.setdefault((member.descriptor, member.offset), path)
        linked[path] = replace(member, link=first) if first != path and member.kind == "file" else member
    return linked
