"""The check of the command line: an application built again and again, each time in its own process."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from imagebuilder import config, remote, reports, settings, text
from imagebuilder.cache import Cache
from imagebuilder.check import copies, host, places, rebuild
from imagebuilder.check.copies import Copying
from imagebuilder.config import Chosen
from imagebuilder.console import Console
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest
from imagebuilder.settings import Given
from layers.errors import UsageError
from layers.values import dataclass, replace
from reproducibility import check as checks
from reproducibility.check import Verdict
from reproducibility.compare import compare
from reproducibility.difference import Comparison, Known
from reproducibility.images import Subject
from reproducibility.scenarios import SCENARIOS, USUAL

_ALL = "all"
_MOST_BUILDS = 20
_MARGIN = 64 << 20
_KEPT_BY_DOWNLOADS = ("clock", "home")
_UNUSUAL = {
    "downloads": "what is fetched is known by its hash, so all builds share it; `--vary downloads` fetches it anew",
    "engine": "package managers take long; `--vary engine` has one of the builds install with them",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a check is to do: how many builds, after which command, and what to vary; `named` is what has to be."""

    builds: int
    prepare: str
    wanted: tuple[str, ...]
    named: frozenset[str]


def check(chosen: Chosen, console: Console, *, program: tuple[str, ...] = rebuild.PROGRAM) -> int:
    """Build twice under other conditions; exit code 1 if the images differ. `program` is what builds."""
    values = chosen.values
    asked = Asked(_builds(values.text("builds", "2")), values.text("prepare"), *selection(values.list("vary")))
    chosen = _with_time(chosen)
    configuration = config.load(chosen)
    with closing(console.progress()) as progress:
        for warning in configuration.warnings:
            progress.warn(warning)
        verdict = _verdict(chosen, configuration.request, asked, progress, program=program)
    return reports.publish(verdict, chosen, console)


def selection(vary: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Read what to vary: names, `all` for the usual ones, `-name` for all but that. Returns which of them were named.

    Raises UsageError IB830 for a name that is not known.
    """
    words = [word.strip() for value in vary for word in value.split(",") if word.strip()]
    for word in words:
        if word != _ALL and word.removeprefix("-") not in SCENARIOS:
            near = text.nearest(word.removeprefix("-"), (*SCENARIOS, _ALL))
            raise UsageError(
                f"nothing is called `{word}` that could be varied",
                hint=f"did you mean `{near}`?" if near else f"name some of {', '.join(SCENARIOS)}, or `all`",
                code="IB830",
            )
    left_out = {word[1:] for word in words if word.startswith("-")}
    named = frozenset(words) - {_ALL} - {f"-{word}" for word in left_out}
    usual = USUAL if not named or _ALL in words else ()
    return tuple(name for name in SCENARIOS if name in {*usual, *named} - left_out), named


def _builds(wanted: str) -> int:
    if not (wanted.isascii() and wanted.isdigit() and 2 <= int(wanted) <= _MOST_BUILDS):
        raise UsageError(f"not a number of builds: {wanted!r}", hint=f"give 2 to {_MOST_BUILDS}", code="IB101")
    return int(wanted)


def _with_time(chosen: Chosen) -> Chosen:
    """Ask git for the time of the commit here: the copies that are built from have no repository."""
    given = chosen.given.get("created") or settings.read_project(Path(chosen.argument or ".")).values.get("created")
    if not given or given.text != "git":
        return chosen
    created = config.load(chosen).request.created
    return replace(chosen, given={**chosen.given, "created": Given((created,), "--created")})


def _verdict(
    chosen: Chosen, request: BuildRequest, asked: Asked, progress: Progress, *, program: tuple[str, ...]
) -> Verdict:
    environment = rebuild.child_environment(chosen, request)
    here, why = host.survey(environment, asked.wanted, workers=request.workers, program=rebuild.MODULES)
    why |= _why_not(asked, offline=request.offline)
    here = replace(here, usual={**here.usual, "engine": "native" if request.native else "direct"})
    ignored = copies.nothing if asked.prepare else request.ignored
    with ExitStack() as opened:
        opened.enter_context(Cache(request.cache_dir).in_use())  # what the first build brings into it is for all
        work = opened.enter_context(places.workspace(request.cache_dir, shared=here.setuid))
        source = work / "snapshot"
        size = copies.copy(request.source, source, Copying(), ignored=ignored)
        ground, no_place = opened.enter_context(
            places.ground(
                work,
                asked.wanted,
                room=2 * size + _MARGIN,
                runs_programs=bool(asked.prepare),
                shared=here.setuid,
            )
        )
        why |= no_place
        _refuse(asked.named, why)
        varied = tuple(name for name in asked.wanted if name not in why)
        builder = rebuild.Rebuilder(
            chosen,
            request,
            source,
            here,
            ground,
            varied,
            remote.settings_of(request, progress),
            progress,
            opened,
            prepare=asked.prepare,
            program=program,
        )
        compared = _comparison(work, progress)
        return checks.check(builder.build, compared, variations=varied, builds=asked.builds, not_varied=why)


def _why_not(asked: Asked, *, offline: bool) -> dict[str, str]:
    """Say what is not varied whatever the machine is like."""
    if "downloads" not in asked.wanted:
        return {name: _UNUSUAL[name] for name in _UNUSUAL.keys() - {*asked.wanted} if {*USUAL} <= {*asked.wanted}}
    if offline:
        return {"downloads": "with --offline nothing is fetched"}
    right = "builds that download keep the right clock and the home"
    return {name: right for name in _KEPT_BY_DOWNLOADS if name in asked.wanted}


def _refuse(named: frozenset[str], why: Mapping[str, str]) -> None:
    """Refuse what was asked for by its name and is not possible."""
    for name in sorted(named & why.keys()):
        raise UsageError(
            f"cannot vary `{name}` here: {why[name]}",
            hint="leave it out of --vary; `--vary all` varies whatever is possible and says what is not",
            code="IB831",
        )


def _comparison(work: Path, progress: Progress) -> checks.Compare:
    scratch = work / "unpacked"
    scratch.mkdir()

    def compared(left: Subject, right: Subject, known: Known) -> Comparison:
        comparison = compare(left, right, scratch=scratch, known=known)
        progress.note(f"{right.reference}: {len(comparison.everything)} differences")
        return comparison

    return compared
