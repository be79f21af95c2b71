"""What `plan` shows: the document, and the same for people who have never heard of buildpacks.

The document's schema is in reports/plan_schema.py.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildpacks.api import Buildpack, Interpreter, LayerSpec, Process, Require, Setting
from imagebuilder import report, text
from imagebuilder.ignore import LeftOut
from imagebuilder.libraries import Library
from imagebuilder.resolve import Considered, Need, Plan
from layers.canonical import Json

SCHEMA = 1
_WIDTH = 80
_ROWS = 30  # of a list


def document(
    found: Plan,
    *,
    settings: Mapping[str, Setting],
    files: tuple[str, ...],
    lock: tuple[str, ...],
    interpreter: Interpreter | None,
    processes: tuple[Process, ...],
    left_out: tuple[LeftOut, ...],
    missing_libraries: tuple[Library, ...] = (),
    layers: Iterable[LayerSpec] = (),
) -> dict[str, Json]:
    """Describe what would be built and why; `lock` says why the lock does not fit, empty if it does.

    `interpreter` is the one that is pinned, and `layers` are those of the image, if the lock fits.
    """
    pinned = {"version": interpreter.version, "origin": interpreter.origin} if interpreter else {}
    return {
        "schema": SCHEMA,
        "buildpacks": [
            {"id": step.buildpack.id, "version": step.buildpack.version, "origin": step.buildpack.origin}
            for step in found.steps
        ],
        "requirements": [_requirement(need) for need in found.needs],
        "groups": [
            {
                "buildpacks": group.group,
                "state": group.state,
                "reasons": [{"buildpack": reason.buildpack, "reason": reason.text} for reason in group.reasons],
            }
            for group in found.groups
        ],
        "settings": [
            {"key": key, "value": setting.value, "origin": setting.origin} for key, setting in settings.items()
        ],
        "configuration_files": files,
        "lock": {"fits": not lock, "reasons": lock},
        **({"interpreter": pinned} if pinned else {}),
        "processes": [
            {"type": each.type, "command": each.command, "origin": each.origin, "default": each.default}
            for each in processes
        ],
        "layers": [{"name": each.name, "packages": each.packages, "why": each.why} for each in layers if each.packages],
        "left_out": [{"path": each.path, "pattern": each.pattern, "origin": each.origin} for each in left_out],
        "missing_libraries": [
            {"name": each.name, "needed_by": each.needed_by, "packages": each.packages} for each in missing_libraries
        ],
    }


def _requirement(need: Need) -> dict[str, Json]:
    require = need.require
    return {
        "name": require.name,
        "version": require.version,
        "version_source": require.version_source,
        "required_by": need.required_by,
        "provided_by": need.provided_by,
        "build": require.build,
        "launch": require.launch,
    }


def lines(found: Plan, described: Mapping[str, Json]) -> list[str]:
    """Write the document for people: first what takes part, then what needs what, then why it is these."""
    explained = ("buildpacks", "requirements", "groups")
    rest = {key: value for key, value in described.items() if key not in explained}
    return [
        *_wrapped("buildpacks  ", ", ".join(step.buildpack.id for step in found.steps)),
        *(line for step in found.steps if step.buildpack.origin for line in _from_outside(step.buildpack)),
        "requirements",
        *(line for names in _by_name(found.needs) for line in _explained(names)),
        "groups of buildpacks: the first that fits is taken",
        *(line for number, group in enumerate(found.groups, 1) for line in _considered(number, group)),
        *report.lines(rest, most=_ROWS),
    ]


def _from_outside(buildpack: Buildpack) -> list[str]:
    return _wrapped("  ", f"{buildpack.id} is from {buildpack.origin}: its code runs on this machine")


def _by_name(needs: Sequence[Need]) -> list[list[Need]]:
    names = dict.fromkeys(need.require.name for need in needs)
    return [[need for need in needs if need.require.name == name] for name in names]


def _explained(needs: Sequence[Need]) -> Iterator[str]:
    """Yield who provides one thing for whom, and which versions of it are asked for."""
    name, provider = needs[0].require.name, needs[0].provided_by
    users = dict.fromkeys(need.required_by for need in needs if need.required_by != provider)
    whom = f" for {', '.join(users)}" if users else ""
    yield from _wrapped("  ", f"{name}: provided by {provider}{whom}")
    for require in dict.fromkeys(need.require for need in needs if need.require.version):
        yield from _wrapped("    ", f"version {require.version}, says {_source(require)}")


def _source(require: Require) -> str:
    return require.version_source or "the buildpack"


def _considered(number: int, group: Considered) -> Iterator[str]:
    yield from _wrapped(f"  {number}. ", f"{group.state}: {', '.join(group.group)}")
    said = "without " if group.state == "chosen" else ""
    for reason in group.reasons:
        yield from _wrapped("       ", f"{said}{reason.buildpack}: {reason.text}")


def _wrapped(label: str, content: str) -> list[str]:
    """Break a line between words, under a label."""
    return textwrap.wrap(
        text.printable(content),
        _WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_on_hyphens=False,
    )
