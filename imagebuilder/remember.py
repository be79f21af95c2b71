"""What a build looked at and wrote, written down with its answer, for `imagebuilder.again`.

Nothing is remembered of a build that depends on something else than files, words and variables (a clock, git, code of
others), that warned, or that wrote where nobody can see cheaply whether it is still there. Neither is one of which a
file has changed since the command was given, or so shortly before that another change could bear the same time.
"""

import os
import sys
import time  # noqa: TID251 a clock that was set during the build makes the times of files worthless
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from imagebuilder import again, application, destinations, reference, report
from imagebuilder.config import Chosen, Configuration
from imagebuilder.console import Console
from imagebuilder.display import json_line
from imagebuilder.outcome import BuildOutcome
from imagebuilder.request import BuildRequest
from layers import canonical
from layers.blobs import write_file
from layers.canonical import Json
from layers.errors import StorageError
from layers.values import dataclass, field, replace

# Further apart than this two clocks do not drift in a build.
_DRIFT_NS = 20_000_000
_PROXIES = ("http_proxy", "all_proxy")
# What is read of an application before it is known what it leaves out.
_CONFIGURATION = (
    *("pyproject.toml", "imagebuilder.toml", "project.toml"),
    *(".imagebuilderignore", ".dockerignore", "imagebuilder.lock"),
)


@dataclass(frozen=True, slots=True)
class Looked:
    """The paths in the application that a build looked at; those of folders that it listed end with a slash."""

    paths: set[str] = field(default_factory=set)

    def at(self, request: BuildRequest) -> BuildRequest:
        """Return the request of a build that is watched."""

        def ignored(path: str) -> bool:
            answer = request.ignored(path)
            self.paths.add(path.rstrip("/") if answer else path)
            return answer

        return replace(request, ignored=ignored, on_look=self.paths.add)


def remember(
    chosen: Chosen, configuration: Configuration, outcome: BuildOutcome, *, looked: Looked, console: Console
) -> None:
    """Write down the answer, if it may be given again."""
    question, request = chosen.question, configuration.request
    if question is None or not _lasting(chosen, configuration, outcome, console):
        return
    source = os.path.join(question.folder, request.source)  # noqa: PTH118 Path would drop the dot that follows a link
    inputs = {*_inputs(source, looked), *_program(), *_user_files(chosen)}
    files = _by_folder([*sorted(inputs), *_outputs(question.folder, outcome, request)])
    state = again.state(files)  # before it is asked what has changed, so that nothing changes in between
    if not all(is_settled(path, question) for path in inputs) or clock_was_set(question):
        return
    same = _again(outcome)
    record: dict[str, Json] = {
        "surroundings": question.surroundings,
        "source": (source, os.path.realpath(source)),
        "files": files,
        "state": state,
        "used": [each.digest.hex for each in outcome.layers],
        "pushed": _pushed(request, outcome) if request.push else None,
        "told": _told(same) if console.mode != "none" else (),
        "answer": json_line(same.to_json()) if console.json else same.reference,
    }
    _write(question.path, canonical.encode(record))


def _lasting(chosen: Chosen, configuration: Configuration, outcome: BuildOutcome, console: Console) -> bool:
    """Say whether the same words will have the same answer as long as no file changes."""
    request = configuration.request
    decided_elsewhere = request.buildpacks or request.own_buildpack or not configuration.repeatable
    told_elsewhere = request.digest_file or request.metadata_file or console.github or console.mode == "jsonl"
    cache = os.path.abspath(request.cache_dir)  # noqa: PTH100 as `again` writes it
    return not (
        decided_elsewhere
        or told_elsewhere
        or console.verbose
        or outcome.warnings
        or not request.use_cache
        or chosen.values.on("directory")
        or any(output.type not in ("oci", "archive") for output in request.outputs)
        or chosen.question is None
        or cache != os.path.normpath(chosen.question.cache)
    )


def _pushed(request: BuildRequest, outcome: BuildOutcome) -> dict[str, Json]:
    from imagebuilder.registry.addresses import is_loopback, origin  # few builds push

    names = [reference.parse(tag) for tag in request.tags]
    proxies = any(name.lower() in _PROXIES and value for name, value in request.environment.items())
    plain = not proxies and all(
        name.registry in request.insecure_registries or is_loopback(origin(f"http://{name.registry}")[1])
        for name in names
    )
    return {
        "names": request.tags,
        "plain": [(name.registry, f"/v2/{name.repository}/manifests/{name.tag}") for name in names if plain],
        "digest": outcome.manifest_digest.value,
        "insecure": sorted(request.insecure_registries),
        "token_hosts": sorted(request.token_hosts),
    }


def _inputs(source: str, looked: Looked) -> Iterator[str]:
    """Yield what was looked at in the application: paths, what they lead to, and for a missing one its folder."""
    yield f"{source}/."
    for path in {*looked.paths, *_CONFIGURATION}:
        found = f"{source}/{path.rstrip('/')}"
        yield found
        if not path.endswith("/"):
            yield from _led_to(found)


def _led_to(path: str) -> Iterator[str]:
    real = os.path.realpath(path)
    if os.path.islink(path) or not os.path.exists(path):  # noqa: PTH110, PTH114 one of thousands of paths
        yield real
    while not os.path.exists(real):  # noqa: PTH110
        real = os.path.dirname(real)  # noqa: PTH120
        yield f"{real}/."


def _program() -> Iterator[str]:
    """Yield the files that this program is made of, as far as it has been imported."""
    for module in tuple(sys.modules.values()):
        if file := getattr(module, "__file__", None):
            yield os.path.abspath(file)  # noqa: PTH100


def _user_files(chosen: Chosen) -> Iterator[str]:
    if path := destinations.user_file(chosen.environment):
        yield str(path)
        yield from _led_to(str(path))


def _outputs(folder: str, outcome: BuildOutcome, request: BuildRequest) -> Iterator[str]:
    """Yield the files that were written: what else is in a layout is none of ours."""
    layers = [each.digest for each in outcome.layers]
    for output in request.outputs:
        target = os.path.join(folder, output.target)  # noqa: PTH118
        if output.type == "archive":
            yield target
            continue
        yield from (f"{target}/index.json", f"{target}/oci-layout")
        for digest in (*layers, outcome.config_digest, outcome.manifest_digest):
            yield f"{target}/blobs/sha256/{digest.hex}"


def is_settled(path: str, question: again.Question) -> bool:
    """Say whether a change that this build has not seen would show in the time of the file's last change."""
    try:
        changed_ns = os.lstat(path).st_ctime_ns
    except OSError:
        return True
    return application.is_settled(changed_ns, question.asked_ns)


def clock_was_set(question: again.Question) -> bool:
    """Say whether somebody set the clock since the command was given."""
    passed_ns = time.monotonic_ns() - question.clock_ns
    return abs(time.time_ns() - question.asked_ns - passed_ns) > _DRIFT_NS


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        found.setdefault(folder, []).append(name)
    return found


def _again(outcome: BuildOutcome) -> BuildOutcome:
    """Return what comes of the same build once more."""
    return replace(
        outcome,
        layers=tuple(replace(layer, cached=True) for layer in outcome.layers),
        pushed=tuple(
            replace(each, tags=(), blobs=tuple((blob, "present") for blob, _ in each.blobs)) for each in outcome.pushed
        ),
        timings={},
    )


def _told(outcome: BuildOutcome) -> list[str]:
    return [
        "  unchanged   nothing has changed since the last build",
        *(f"  push        {each}" for each in outcome.pushed),
        *report.summary(outcome, seconds=0),
    ]


def _write(path: str, content: bytes) -> None:
    with suppress(StorageError, OSError):  # a build that cannot be remembered is a build all the same
        Path(path).parent.mkdir(mode=0o700, exist_ok=True)
        write_file(Path(path), again.seal(path, content) + content)
