"""What a build looked at, written down with its answer, for `imagebuilder.again` and `imagebuilder.repack`.

Nothing is remembered of a build that depends on something else than files, words and variables (a clock, git, code of
others), that warned, or that wrote where nobody can see cheaply whether it is still there. Neither is one of which a
file has changed since the command was given, or so shortly before that another change could bear the same time.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imagebuilder import again, answers, destinations, parted, reference
from imagebuilder.config import Chosen, Configuration
from imagebuilder.console import Console
from imagebuilder.outcome import BuildOutcome
from imagebuilder.request import BuildRequest
from layers.values import dataclass, field, replace

if TYPE_CHECKING:
    from imagebuilder.again import Packed, Pushed, Record

# As many as Linux follows (path_resolution(7)).
_MOST_LINKS = 40
_PROXIES = ("http_proxy", "all_proxy")
# What is read of an application before it is known what it leaves out.
_CONFIGURATION = (
    *("pyproject.toml", "imagebuilder.toml", "project.toml"),
    *(".imagebuilderignore", ".dockerignore", "imagebuilder.lock"),
)


@dataclass(frozen=True, slots=True)
class Looked:
    """The paths in the application that a build looked at; those of folders end with a slash.

    `at` are those that it looked at by name, because what they are, or hold, decides something. The others were met
    when the folder was listed: `listed`, and `left_out` by the rules.
    """

    at: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)

    def watch(self, request: BuildRequest) -> BuildRequest:
        """Return the request of a build that is watched."""

        def ignored(path: str) -> bool:
            answer = request.ignored(path)
            (self.left_out if answer else self.listed).add(path)
            return answer

        return replace(request, ignored=ignored, on_look=self.at.add)


def remember(
    chosen: Chosen, configuration: Configuration, outcome: BuildOutcome, *, looked: Looked, console: Console
) -> None:
    """Write down the answer, if it may be given again."""
    question, request = chosen.question, configuration.request
    if question is None or not _lasting(chosen, configuration, outcome, console):
        return
    source = os.path.join(question.folder, request.source)  # noqa: PTH118 Path would drop the dot that follows a link
    decides = sorted({*_deciding(source, looked), *_program(), *_user_files(chosen)})
    files = answers.by_folder(decides)
    state = again.state(files)  # before it is asked what has changed, so that nothing changes in between
    if not answers.are_settled((*decides, *_parents(decides)), question):
        return
    record: Record = {
        "surroundings": question.surroundings,
        "source": (source, os.path.realpath(source)),
        "read": files,
        "listed": answers.by_folder(f"{source}/{path}" for path in (".", *sorted(looked.listed))),
        "written": {},
        "states": [state],
        "outputs": [
            (each.type, each.target, each.name)
            for each in request.outputs
            if each.type == "oci" or each.type == "archive"
        ],
        "used": (),
        "pushed": _pushed(request) if request.push else None,
        "json": console.json,
        "told": () if console.mode != "none" else None,
        "answer": "",
        "packed": _packed(request, outcome, looked),
    }
    answers.write(record, outcome, question)


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
        or any(output.type in ("docker", "podman") for output in request.outputs)
        or chosen.question is None
        or cache != os.path.normpath(chosen.question.cache)
    )


def _pushed(request: BuildRequest) -> "Pushed":
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
        "digest": "",
        "insecure": sorted(request.insecure_registries),
        "token_hosts": sorted(request.token_hosts),
    }


def _packed(request: BuildRequest, outcome: BuildOutcome, looked: Looked) -> "Packed | None":
    """Say how the application was packed, if no other layer is made of its files but of those that were read.

    The last layer is another one with `collectstatic`, and that of a large application is called a part of it.
    """
    if outcome.layers[-1].name != parted.NAME or request.skip_unchanged:
        return None
    return {
        "left_out": sorted(looked.left_out),
        "compression": request.compression,
        "origins": {digest.value: str(name) for digest, name in outcome.origins.items()},
        "outcome": {},
    }


def _deciding(source: str, looked: Looked) -> Iterator[str]:
    """Yield what was looked at in the application, and what it leads to."""
    for path in {*looked.at, *_CONFIGURATION}:
        yield from _led_to(f"{source}/{path.rstrip('/')}")


def _led_to(path: str) -> Iterator[str]:
    """Yield a path, each link that it leads to, and what they all lead to."""
    yield path
    for _ in range(_MOST_LINKS):
        if not os.path.islink(path):  # noqa: PTH114 one of hundreds of paths
            break
        path = os.path.join(os.path.dirname(path), os.readlink(path))  # noqa: PTH115, PTH118, PTH120
        yield path


def _parents(paths: Iterable[str]) -> Iterator[str]:
    """Yield, of what is missing, the folder in which it would appear."""
    for path in paths:
        parent = path
        while not os.path.lexists(parent):
            parent = os.path.dirname(parent)  # noqa: PTH120
        if parent != path:
            yield f"{parent}/."


def _program() -> Iterator[str]:
    """Yield the files that this program is made of, as far as it has been imported."""
    for module in tuple(sys.modules.values()):
        if file := getattr(module, "__file__", None):
            yield os.path.abspath(file)  # noqa: PTH100


def _user_files(chosen: Chosen) -> Iterator[str]:
    if path := destinations.user_file(chosen.environment):
        yield from _led_to(str(path))
