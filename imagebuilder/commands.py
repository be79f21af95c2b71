"""The commands: each takes what was chosen, calls the builder and writes one result.

The builder is imported where it is used: `explain` and `cache` do not pay for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder import arguments, config, destinations
from imagebuilder.cache import Cache
from imagebuilder.config import Chosen, Configuration
from imagebuilder.console import Console
from imagebuilder.display import json_line
from imagebuilder.outcome import BuildOutcome, Pushed
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest
from layers.blobs import require_replaceable, write_file
from layers.canonical import Json
from layers.digest import Digest
from layers.errors import UsageError
from layers.expression import expression

if TYPE_CHECKING:  # `explain` does not pay for what it does not use
    from imagebuilder.image import StoredImage
    from imagebuilder.registry.settings import RegistrySettings

_SIZE = expression(r"(\d{1,12})\s*(B|kB|MB|GB|)")
_UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def build(chosen: Chosen, console: Console) -> int:
    """Build the image. The result is the first output with the digest of the manifest."""
    configuration = config.load(chosen)
    from imagebuilder import remember
    from imagebuilder.build import build as build_image

    with _progress(console, configuration) as progress:
        looked = remember.Looked()
        outcome = build_image(looked.watch(configuration.request), progress)
    publish(outcome, configuration.request, console, seconds=progress.seconds)
    remember.remember(chosen, configuration, outcome, looked=looked, console=console)
    return 0


def publish(outcome: BuildOutcome, request: BuildRequest, console: Console, *, seconds: float) -> None:
    """Tell of a finished build: to files, to the runner of GitHub Actions, to people, and last on stdout."""
    from imagebuilder import github, report

    if request.digest_file:
        write_file(request.digest_file, f"{outcome.manifest_digest}\n".encode())
    if request.metadata_file:
        write_file(request.metadata_file, f"{json_line(outcome.to_json())}\n".encode())
    github.publish(outcome, request.environment)
    console.say(report.summary(outcome, seconds=seconds))
    _result(console, outcome.to_json(), [outcome.reference])


def plan(chosen: Chosen, console: Console) -> int:
    """Show what would be built and why. Asks no network and writes nothing."""
    configuration = config.load(chosen)
    from imagebuilder import build as pipeline
    from imagebuilder import ignore, launch, libraries, lock, outside, stale
    from imagebuilder.reports import plan as report
    from imagebuilder.resolve import resolve
    from imagebuilder.suppliers import suppliers

    request = configuration.request
    found = resolve(outside.order(request), request.app)
    pins = lock.read(request.source).get(str(request.platform))
    reasons = stale.reasons(found, request, pins)
    if reasons or not pins:
        results = pipeline.preview(request, found)
    else:
        supplied = suppliers(request, Cache(request.cache_dir), Progress())
        results = pipeline.run_buildpacks(request, found, pins, supplied, unpacked=supplied.scratch)
    lacking = libraries.missing(pins.libraries, pins.base.packages) if pins and not reasons else ()
    document = report.document(
        found,
        settings=configuration.values,
        files=configuration.files,
        lock=reasons,
        interpreter=None if reasons or not pins else pins.interpreter,
        processes=launch.merge_processes(process for result in results for process in result.processes),
        left_out=ignore.left_out(request.source, configuration.ignored),
        missing_libraries=lacking,
        layers=(spec for result in results for spec in result.layers),
    )
    with _progress(console, configuration) as progress:
        for warning in libraries.warnings(lacking):
            progress.warn(warning)
    _result(console, document, report.lines(found, document))
    return 0


def lock(chosen: Chosen, console: Console) -> int:
    """Pin every input; with `--check` only say whether the lock fits, also by the exit code."""
    configuration = config.load(chosen)
    from imagebuilder import build as pipeline
    from imagebuilder.lock import FILE
    from imagebuilder.request import Upgrade

    path = str(configuration.request.source / FILE)
    with _progress(console, configuration) as progress:
        if chosen.values.on("check"):
            reasons = pipeline.check_lock(configuration.request, progress)
            _result(console, {"lock": path, "fits": not reasons, "reasons": reasons}, reasons or [f"{path} fits"])
            return 1 if reasons else 0
        names = chosen.values.list("upgrade")
        upgrade = Upgrade(everything="" in names, names=frozenset(names) - {""})
        pins = pipeline.lock_project(configuration.request, upgrade, progress)
    _result(console, {"lock": path, "inputs": pins.inputs.value}, [path])
    return 0


def check(chosen: Chosen, console: Console) -> int:
    """Build twice under other conditions; exit code 1 if the images differ."""
    from imagebuilder.check import command

    _require_reports(chosen)
    return command.check(chosen, console)


def diff(chosen: Chosen, console: Console) -> int:
    """Compare two images; exit code 1 if they differ."""
    from imagebuilder import diffing

    _require_reports(chosen)
    return diffing.diff(chosen, console)


def audit(chosen: Chosen, console: Console) -> int:
    """Rebuild a published image from its source; exit code 1 if it comes out otherwise."""
    from imagebuilder import auditing

    _require_reports(chosen)
    return auditing.audit(chosen, console)


def _require_reports(chosen: Chosen) -> None:
    """Refuse reports that cannot be written, before the minutes that it takes to have something to report."""
    for path in map(chosen.values.text, ("html", "junit")):
        if path:
            require_replaceable(Path(path))


def inspect(chosen: Chosen, console: Console) -> int:
    """Show what is in an image."""
    if chosen.values.text("html"):
        from imagebuilder import inspecting

        _require_reports(chosen)
        return inspecting.inspect(chosen, console)
    from imagebuilder import image, reference, remote, report

    if image.is_local(chosen.argument):
        return _show(image.open_image(chosen.argument), chosen, console)
    name = reference.parse_source(chosen.argument)
    with remote.open_remote(name, registries(chosen)) as (blobs, root):
        if root.media_type not in image.INDEXES:
            return _show(image.read(name.name, blobs, root), chosen, console)
        document = report.index(name.name, root, blobs.read[root.digest])
    _result(console, document, report.lines(document))
    return 0


def _show(stored: "StoredImage", chosen: Chosen, console: Console) -> int:
    from imagebuilder import report

    document = stored.to_json()
    shown = {**document, "layers": [report.layer(layer) for layer in stored.image.layers]}
    if chosen.values.on("files"):
        document = shown = {"layers": [report.files(layer, stored.files(layer)) for layer in stored.image.layers]}
    elif chosen.values.on("layers"):
        document = shown = {"layers": document["layers"]}
    _result(console, document, report.lines(shown))
    return 0


def push(chosen: Chosen, console: Console) -> int:
    """Push an image to every name. The result is the first repository with the digest of the manifest."""
    from imagebuilder import copy, reference
    from imagebuilder.push import push as push_parts

    names = [reference.parse(name) for name in chosen.further]
    progress = console.progress()
    with closing(progress):
        settings = registries(chosen, progress)
        with copy.open_source(chosen.argument, settings) as source:
            digest = source.parts.root.digest
            pushed = push_parts(source.parts, names, settings=settings, progress=progress)
    return _shipped(f"{names[0].name}@{digest}", digest, pushed, chosen, console)


def copy(chosen: Chosen, console: Console) -> int:
    """Copy an image. The result is where it went, with the digest of the manifest."""
    from imagebuilder import copy as copies

    (target,) = chosen.further
    place = destinations.cache_dir(chosen.values.text("cache-dir"), chosen.environment)
    progress = console.progress()
    with closing(progress):
        settings = registries(chosen, progress)
        copied = copies.copy(
            chosen.argument, target, settings=settings, scratch_root=place / "scratch", progress=progress
        )
    return _shipped(copied.reference, copied.digest, copied.pushed, chosen, console)


def _shipped(reference: str, digest: Digest, pushed: tuple[Pushed, ...], chosen: Chosen, console: Console) -> int:
    document: dict[str, Json] = {
        "schema": 1,
        "reference": reference,
        "manifest_digest": digest.value,
        "pushed": [each.to_json() for each in pushed],
    }
    if path := chosen.values.text("digest-file"):
        write_file(Path(path), f"{digest}\n".encode())
    if path := chosen.values.text("metadata-file"):
        write_file(Path(path), f"{json_line(document)}\n".encode())
    _result(console, document, [reference])
    return 0


def registries(chosen: Chosen, progress: Progress | None = None) -> "RegistrySettings":
    """Return how the commands that know no project reach registries."""
    from imagebuilder.registry.settings import RegistrySettings

    insecure = frozenset(chosen.values.list("insecure-registry"))
    token_hosts = frozenset(chosen.values.list("token-host"))
    return RegistrySettings(chosen.environment, insecure, token_hosts=token_hosts, note=(progress or Progress()).note)


def cache(chosen: Chosen, console: Console) -> int:
    """Show, prune or verify the cache."""
    from imagebuilder import report

    place = destinations.cache_dir(chosen.values.text("cache-dir"), chosen.environment)
    found = Cache(place)
    document: dict[str, Json]
    match chosen.argument or "info":
        case "info":
            document = report.usage(found.usage(), str(place))
        case "prune":
            document = {"cache": str(place), "freed": found.prune(_size(chosen.values.text("keep", "0")))}
        case "verify":
            document = {"cache": str(place), "damaged": found.verify()}
        case action:
            raise arguments.unknown_word("action", action, ("info", "prune", "verify"), " cache")
    _result(console, document, report.lines(document))
    return 0


def explain(chosen: Chosen, console: Console) -> int:
    """Print what an error code means, or all codes."""
    from imagebuilder import pages

    console.result(pages.page(chosen.argument) if chosen.argument else "\n".join(pages.titles()))
    return 0


def schema(chosen: Chosen, console: Console) -> int:
    """Print the schema of the configuration, of the plan, or of the documents of check, diff and audit."""
    from imagebuilder import schema as configuration
    from imagebuilder.reports import plan_schema
    from imagebuilder.reports import schema as report

    schemas = {"configuration": configuration.schema, "plan": plan_schema.schema, "report": report.schema}
    name = chosen.argument or "configuration"
    if name not in schemas:
        raise arguments.unknown_word("schema", name, tuple(schemas), " schema")
    console.result_json(schemas[name]())
    return 0


def completion(chosen: Chosen, console: Console) -> int:
    """Print a completion script."""
    from imagebuilder import completion as scripts

    console.result(scripts.script(chosen.argument).rstrip("\n"))
    return 0


COMMANDS: Mapping[str, Callable[[Chosen, Console], int]] = {
    "build": build,
    "plan": plan,
    "lock": lock,
    "check": check,
    "diff": diff,
    "audit": audit,
    "inspect": inspect,
    "push": push,
    "copy": copy,
    "cache": cache,
    "explain": explain,
    "schema": schema,
    "completion": completion,
}


@contextmanager
def _progress(console: Console, configuration: Configuration) -> Iterator[Progress]:
    progress = console.progress()
    try:
        for warning in configuration.warnings:
            progress.warn(warning)
        yield progress
    finally:
        progress.close()


def _result(console: Console, document: Mapping[str, Json], lines: Sequence[str]) -> None:
    if console.json:
        console.result_json(document)
    else:
        console.result("\n".join(lines))


def _size(wanted: str) -> int:
    found = _SIZE.fullmatch(wanted)
    if not found:
        raise UsageError(f"not a size: {wanted!r}", hint="write it as 500MB or 10 GB", code="IB101")
    return int(found[1]) * _UNITS[found[2]]
