"""Rebuilds: the builds of a check, each by this very program in a process, a folder and a store of its own.

What a build needs from outside is brought into the user's cache before the first one, as any build does it, and copied
from there into the store of each, so that none needs a network; only one that varies `downloads` fetches it anew.
"""

import os
import shutil
import sys
import time  # noqa: TID251 how long builds take, and when they were made, is told to people
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path

import imagebuilder
from imagebuilder import config, subject
from imagebuilder.cache import Cache
from imagebuilder.check import children, copies, failures, places, supply
from imagebuilder.check.conditions import Conditions, conditions
from imagebuilder.check.copies import Copying
from imagebuilder.check.host import Host
from imagebuilder.check.places import Ground, Place
from imagebuilder.check.settled import Settled
from imagebuilder.config import Chosen
from imagebuilder.lock import FILE
from imagebuilder.options import BY_KEY, OPTIONS
from imagebuilder.progress import Progress
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.request import BuildRequest
from layers.digest import Digest
from layers.values import dataclass, field, replace
from reproducibility.check import Built
from reproducibility.scenarios import SCENARIOS

# `-P`: the folder that a build runs in is no place to take modules from.
PROGRAM = (sys.executable, "-P", "-m", "imagebuilder")
MODULES = Path(imagebuilder.__file__).parent.parent
# What decides the image: the flags that `check` has in common with `build`, and what is a variable or a key alone.
_DECIDING = {option.key for option in OPTIONS if {"build", "check"} <= {*option.commands}} - {"offline", "workers"}
_VARIABLES = {option.variable for option in OPTIONS if option.key in _DECIDING or not option.commands}
# A runner is told of the check, not of its builds.
_OF_RUNNERS = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")


@dataclass(slots=True)
class Rebuilder:
    """Makes the builds of a check. `request` is that of an ordinary build; `program` what is run in its place.

    `source` is a copy of the application that nobody changes while the check goes on. `selected` is all that is varied
    in one build or another; `prepare` a command of the user that is run in each copy before it is built.
    """

    chosen: Chosen
    request: BuildRequest
    source: Path
    host: Host
    ground: Ground
    selected: Collection[str]
    settings: RegistrySettings
    progress: Progress
    opened: ExitStack
    prepare: str = ""
    program: tuple[str, ...] = PROGRAM
    _made: int = 0
    _lock: bytes = b""
    _supplies: tuple[Digest, ...] = field(default=())
    _settled: Settled = field(default_factory=Settled)

    def build(self, varied: Collection[str], number: int) -> Built:
        """Build with these variations applied; implements `reproducibility.check.Build`.

        Raises BuildError IB832 if what the user wants to be run before a build fails, IB833 for a build that fails only
        under other conditions, and what the build itself raised if it fails as it is.
        """
        values = {name: self.host.value(name, number) for name in SCENARIOS if name in varied}
        self._made += 1
        everything = len(values) == len(self.selected)
        what = "everything varied" if everything and len(values) > 1 else ", ".join(values) or "nothing varied"
        with self.progress.step(f"build {self._made}: {what}") as step:
            built = self._build(values, f"build {self._made}, {what}", only_for_blame=self._made > 1 and not everything)
            step.finish(built.subject.digest)
        return built

    def _build(self, values: Mapping[str, str], title: str, *, only_for_blame: bool) -> Built:
        under = conditions(self.host, self.selected, values)
        place = places.place(self.ground, values, name=self.request.source.resolve().name or "app")
        under = replace(under, environment=_in_place(under.environment, place))
        began = time.time()
        try:
            self._lay_out(place, under, values)
            if self.prepare:
                self._run(("/bin/sh", "-c", self.prepare), under, folder=place.source, failed=failures.of_preparation)
            self._supply(place, under, fetched_anew="downloads" in values)
            if only_for_blame:
                self._settled.give(place.store, self._plain_blobs, owner=_real_owner(under))
            command = self._command(place, under, offline="downloads" not in values)
            inside = replace(under, environment=_with_modules(under.environment))
            self._run(
                command,
                inside,
                folder=place.source.parent,
                failed=lambda code, log: failures.of_build(code, log, title if values else ""),
            )
            if not only_for_blame:
                self._settled.note(place.store)
            image = self._keep(place)
        finally:
            places.clear(self.ground)
        opened = self.opened.enter_context(
            subject.open_subject(f"oci:{image}", settings=self.settings, scratch=self.ground.work)
        )
        seconds = time.time() - began
        first = int(began) if under.disguise.clock is None else under.disguise.clock
        return Built(
            replace(opened, reference=title),
            {**under.shown, **places.shown(place, self.ground, values)},
            self._known(place, under, values),
            (first, first + int(seconds) + 1),
            seconds,
        )

    def _lay_out(self, place: Place, under: Conditions, values: Mapping[str, str]) -> None:
        """Make the folders and the copy of the source."""
        owner = _real_owner(under)
        places.lay_out(place, self.ground, elsewhere="filesystem" in values, owner=owner)
        copying = Copying(
            order=values.get("order", ""), umask=under.disguise.umask, older="source" in values, owner=owner
        )
        copies.copy(self.source, place.source, copying)

    def _supply(self, place: Place, under: Conditions, *, fetched_anew: bool) -> None:
        """Put the lock into the source and what it names into the store; before the first build both are made."""
        cache = Cache(self.request.cache_dir)
        lock = place.source / FILE
        if not self._lock:
            here = config.load(replace(self.chosen, argument=str(place.source))).request
            native = here.native or "engine" in self.selected  # then the lock has what both ways need
            self._supplies = supply.bring(replace(here, native=native), self.progress)
            self._lock = lock.read_bytes()
        lock.unlink(missing_ok=True)
        lock.write_bytes(self._lock)
        folder = place.store / "blobs" / "sha256"
        folder.mkdir(parents=True)
        for digest in () if fetched_anew else self._supplies:
            shutil.copyfile(cache.store.path(digest), folder / digest.hex)
        if (owner := _real_owner(under)) is not None:
            for path in (lock, folder.parent, folder, *folder.iterdir()):
                os.chown(path, owner, owner)

    def _command(self, place: Place, under: Conditions, *, offline: bool) -> list[str]:
        flags = []
        decided = _DECIDING - {*self.selected}  # a flag would count more than the variable that varies it
        for key, given in self.chosen.given.items():
            if key in decided and given.origin == BY_KEY[key].flag:
                flags += [word for value in given.values for word in (given.origin, value)] or [given.origin]
        return [
            *self.program, "build", str(place.source), *flags, "--locked", *(["--offline"] if offline else []),
            "--cache-dir", str(place.store), "--output", f"oci:{place.image}",
            "--workers", str(under.workers), "--progress", "jsonl",
        ]  # fmt: skip

    def _run(self, command: Collection[str], under: Conditions, *, folder: Path, failed: failures.Told) -> None:
        log = self.ground.work / "log"
        worn = under.disguise.command(*command)
        if code := children.run(worn, environment=under.environment, folder=folder, log=log):
            raise failed(code, log)

    def _keep(self, place: Place) -> Path:
        """Take the image out of the places, which the next build needs; what the plain build has is not kept twice."""
        kept = self.ground.work / "images" / str(self._made)
        kept.parent.mkdir(exist_ok=True)
        shutil.move(place.image, kept)
        for blob in (kept / "blobs" / "sha256").glob("*") if self._made > 1 else ():
            if (self._plain_blobs / blob.name).is_file():
                blob.unlink()
                blob.hardlink_to(self._plain_blobs / blob.name)
        return kept

    @property
    def _plain_blobs(self) -> Path:
        """The blobs of the image of the plain build."""
        return self.ground.work / "images" / "1" / "blobs" / "sha256"

    def _known(self, place: Place, under: Conditions, values: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """List what of this build could be found in its image."""
        environment = under.environment

        def said(*names: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(environment[name] for name in names if environment.get(name)))

        zone = values.get("zone", "")
        short = zone[1 : zone.index(">")] if zone.startswith("<") else ""
        return {
            "path": place.paths,
            "home": said("HOME"),
            "user": (*said("USER", "LOGNAME"), values.get("user", self.host.usual["user"])),
            "host": (values.get("hostname", self.host.usual["hostname"]),),
            "zone": (*said("TZ"), *([short, f"{short}00"] if short else time.tzname)),
            "locale": said("LC_ALL", "LANG"),
            "environment": said("RANDOM_NOISE", "EDITOR", "TERM") if "noise" in values else (),
        }


def child_environment(chosen: Chosen, request: BuildRequest) -> dict[str, str]:
    """Return the environment that builds get, before anything in it is varied: of ours only what decides the image."""
    kept = {
        name: value
        for name, value in chosen.environment.items()
        if (not name.startswith("IMAGEBUILDER_") or name in _VARIABLES) and name not in _OF_RUNNERS
    }
    keyring = BY_KEY["debian-keyring"].variable
    if keyring in kept and request.debian_keyring:  # builds run elsewhere
        kept[keyring] = str(request.debian_keyring.absolute())
    return kept


def _real_owner(under: Conditions) -> int | None:
    """Return the user that a build really runs as, if that is not ours: it has to own what it is given."""
    return under.disguise.user if under.disguise.setuid else None


def _in_place(environment: Mapping[str, str], place: Place) -> dict[str, str]:
    temp = dict.fromkeys(("TMPDIR", *({"TEMP", "TMP"} & environment.keys())), str(place.temp))
    return {**environment, **temp, **({"HOME": str(place.home)} if place.home else {})}


def _with_modules(environment: Mapping[str, str]) -> dict[str, str]:
    """Let Python find this package wherever it was found; the user's own commands are not told of it."""
    variable = "PYTHONPATH"
    return {**environment, variable: os.pathsep.join(filter(None, (str(MODULES), environment.get(variable))))}
