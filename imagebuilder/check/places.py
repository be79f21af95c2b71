"""Places: the folders of a check's builds.

A build that does not vary a place has it under the very path of the plain build; so builds come one after another, and
what one leaves behind is removed before the next. Another file system stands behind the same path: a link leads there.
"""

import errno
import os
import stat
import tempfile  # noqa: TID251 where temporary files go, if another user has to reach them
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from imagebuilder.check import copies
from layers import scratch
from layers.values import dataclass

_ROOM = 1 << 30  # for the store and temporary files of a build
_PROBED = [f"file-{number}" for number in range(8)]
_FOLDERS = {
    "odd name": "odd+name=1,2~3/un-usual_@4",
    "deep": "rather/deep/below/some/more/folders",
    "short": "x",
}


@dataclass(frozen=True, slots=True)
class Ground:
    """Where places are: `work` below the cache, `sources` perhaps in memory, `other` on another file system."""

    work: Path
    sources: Path
    other: Path | None


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one build: the source, its own home if it has one, and the desk with all that it writes."""

    source: Path
    desk: Path
    home: Path | None

    @property
    def temp(self) -> Path:
        """The folder for temporary files."""
        return self.desk / "tmp"

    @property
    def store(self) -> Path:
        """The cache of the build, which nothing else uses."""
        return self.desk / "store"

    @property
    def image(self) -> Path:
        """The layout that it writes."""
        return self.desk / "image"

    @property
    def paths(self) -> tuple[str, ...]:
        """What of it could be found in an image, links followed as well."""
        found = (self.source, self.source.parent, self.temp, self.store)
        return tuple(dict.fromkeys(str(path) for each in found for path in (each, each.resolve())))


@contextmanager
def workspace(cache: Path, *, shared: bool) -> Iterator[Path]:
    """Make the folder that a check works in, and remove it in the end: by the cache, or where other users may pass."""
    with _folder(own(Path(tempfile.gettempdir())) if shared else cache / "scratch", shared=shared) as made:
        yield made


@contextmanager
def ground(
    work: Path, wanted: Collection[str], *, room: int, runs_programs: bool = False, shared: bool = False
) -> Iterator[tuple[Ground, dict[str, str]]]:
    """Find places for builds outside of `work` too; yields with them why a variation of places is not possible.

    `room` is what the source takes, in bytes; `runs_programs` from copies of it; `shared` with other users.
    """
    with ExitStack() as cleanup:
        why: dict[str, str] = {}
        others = [place for place in _elsewhere() if _device(place) != _device(work)]
        sources, other = work, None
        if "order" in wanted:
            found = _ordering(work, others, room=room, runs_programs=runs_programs)
            if found and found != work:
                sources = cleanup.enter_context(_folder(own(found), shared=shared))
            elif not found:
                why["order"] = "no file system with room for the source lists files in the order of their making"
        if "filesystem" in wanted:
            roomy = next((place for place in others if _has_room(place, _ROOM, runs_programs=False)), None)
            if roomy:
                other = cleanup.enter_context(_folder(own(roomy), shared=shared))
            else:
                why["filesystem"] = f"no other file system with {_ROOM >> 30} GB of room may be written to"
        yield Ground(work, sources, other), why


def place(on: Ground, varied: Mapping[str, str], *, name: str) -> Place:
    """Return the places of a build; `name` is that of the folder of the application."""
    source = on.sources / "source" / name
    if "source" in varied:
        source = on.sources / "elsewhere" / _FOLDERS[varied["source"]] / f"{name}-2"
    desk = on.work / "desk"
    if "temp" in varied:
        desk = on.work / "moved" / _FOLDERS[varied["temp"]]
    home = on.work / "home" / _FOLDERS.get(varied["home"], "someone") if "home" in varied else None
    return Place(source, desk, home)


def shown(of: Place, on: Ground, varied: Collection[str]) -> dict[str, str]:
    """Say for people what the variations of places came to."""
    inside = {"source": (of.source, on.sources), "temp": (of.desk, on.work), "home": (of.home, on.work)}
    paths = {name: f"…/{path.relative_to(root)}" for name, (path, root) in inside.items() if path and name in varied}
    return {
        **paths,
        **({"filesystem": f"that of {on.other.parent.parent}"} if "filesystem" in varied and on.other else {}),
    }


def lay_out(of: Place, on: Ground, *, elsewhere: bool, owner: int | None) -> None:
    """Make the folders of a build, empty, but for the source; `elsewhere` puts the desk on the other file system."""
    of.desk.parent.mkdir(parents=True, exist_ok=True)
    if elsewhere and on.other:
        (on.other / "desk").mkdir()
        of.desk.symlink_to(on.other / "desk")
    else:
        of.desk.mkdir()
    made = [of.desk, of.temp, of.store, *([of.home] if of.home else [])]
    for folder in made[1:]:
        folder.mkdir(parents=True)
    if owner is not None:
        for folder in made:
            os.chown(folder, owner, owner)


def clear(on: Ground) -> None:
    """Remove what a build left in its places."""
    folders = [on.sources / name for name in ("source", "elsewhere")]
    folders += [on.work / name for name in ("desk", "moved", "home")]
    for folder in (*folders, *([on.other / "desk"] if on.other else [])):
        copies.remove(folder)


def _elsewhere() -> list[Path]:
    """List folders that may be on other file systems and are ours to use; those in memory come first."""
    places = [Path("/dev/shm"), Path(f"/run/user/{os.getuid()}"), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 see own
    return [place for place in places if os.access(place, os.W_OK | os.X_OK) and _is_ours(_own(place))]


def _device(place: Path) -> int:
    return place.stat().st_dev


def _has_room(place: Path, room: int, *, runs_programs: bool) -> bool:
    status = os.statvfs(place)
    runs = not status.f_flag & os.ST_NOEXEC or not runs_programs
    return runs and status.f_bavail * status.f_frsize >= room


def _ordering(work: Path, others: list[Path], *, room: int, runs_programs: bool) -> Path | None:
    """Return a place that lists files by when they were made: that shows in two folders made in opposite orders."""
    for found in (work, *others):
        if not _has_room(found, room, runs_programs=runs_programs):
            continue
        with _folder(own(found) if found != work else work / "probe") as probe:
            listed = []
            for number, names in enumerate((_PROBED, _PROBED[::-1])):
                folder = probe / str(number)
                folder.mkdir()
                for name in names:
                    (folder / name).touch()
                listed.append(copies.list_order(folder))
            if listed[0] != listed[1]:
                return found
    return None


def own(place: Path) -> Path:
    """Return our folder in one where others may write too. Raises PermissionError if somebody else has made it."""
    found = _own(place)
    with suppress(FileExistsError):
        found.mkdir(mode=0o700)
    if not _is_ours(found):
        raise PermissionError(errno.EPERM, "it belongs to another user", str(found))
    return found


def _own(place: Path) -> Path:
    return place / f"imagebuilder-check-{os.geteuid()}"


def _is_ours(folder: Path) -> bool:
    """Say whether a folder is ours, or nobody's yet. A link would be its maker's."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return True
    return status.st_uid == os.geteuid() and stat.S_ISDIR(status.st_mode)


@contextmanager
def _folder(root: Path, *, shared: bool = False) -> Iterator[Path]:
    """Make a scratch folder; with `shared` other users may pass through it."""
    with scratch.folder(root) as made:
        if shared:
            root.chmod(0o711)
            made.chmod(0o711)
        yield made
