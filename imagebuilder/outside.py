"""Buildpacks from outside: those of installed distributions that the project names, and the project's own file.

Their code runs in this process, on this machine. So none takes part because it happens to be installed, and the
project's own only if whoever runs the command says so, too. What they raise or answer wrongly becomes an error that
names them, and their version is in the keys of their layers, in the lock and in the image.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar, get_args, get_type_hints

from buildpacks import order as groups
from buildpacks.api import BuildContext, Buildpack, BuildPlan, BuildResult, Fail, Files, LayerSpec, Order, Pins, Setting
from imagebuilder.request import BuildRequest
from imagebuilder.resolve import Plan
from imagebuilder.text import nearest
from layers.canonical import Json
from layers.digest import Digest
from layers.entry import Entry
from layers.errors import BuildError, UsageError
from layers.expression import expression
from layers.values import replace

if TYPE_CHECKING:  # 10 ms that only a project with such buildpacks pays for
    from importlib.metadata import EntryPoint

_GROUP = "imagebuilder.buildpacks"
_MODULE = "imagebuilder_project_buildpack"
_ID = expression(r"[a-z0-9][a-z0-9._/-]{0,99}")

_Given = TypeVar("_Given")
_Answer = TypeVar("_Answer")


def order(request: BuildRequest) -> Order:
    """Return the order with the buildpacks from outside that the project asks for.

    Raises UsageError IB330 for one that is not installed, IB331 for one of the project that nobody has trusted, IB333
    for a value that cannot be one; BuildError IB332 for code that cannot be imported.
    """
    found = [*_installed(request.buildpacks)]
    if request.own_buildpack:
        found.append(_own(request, request.own_buildpack))
    _check_ids(found)
    return groups.order(found) if found else groups.ORDER


def check(order: Order, plan: Plan) -> None:
    """Raise UsageError IB940 if a buildpack from outside is left out although it fits the application.

    The project asks for it. That one answers `Fail` is its decision; that its plan cannot be met, nobody has meant.
    """
    asked = {
        element.buildpack.id: element.buildpack for group in order for element in group if element.buildpack.origin
    }
    for id_ in sorted(asked.keys() - {step.buildpack.id for step in plan.steps}):
        reasons = [each for group in plan.groups for each in group.reasons if each.buildpack == id_ and each.unmet]
        if reasons:
            raise UsageError(
                f"the buildpack {id_} ({asked[id_].origin}) cannot take part: {reasons[0].text}",
                details=tuple(dict.fromkeys(each.text for each in reasons[1:3])),
                hint="correct what its `detect` provides and requires; `imagebuilder plan` shows every group",
                code="IB940",
            )


def _installed(names: Sequence[str]) -> Iterator[Buildpack]:
    if not names:
        return
    from importlib.metadata import entry_points

    there = entry_points(group=_GROUP)
    for name in names:
        offered = [each for each in there if each.name == name]
        if len(offered) != 1:
            raise _not_one(name, offered, sorted(there.names))
        version = offered[0].dist.version if offered[0].dist else ""
        yield _usable(_load(offered[0]), version, _distribution(offered[0]))


def _load(offered: "EntryPoint") -> object:
    try:
        return offered.load()
    except (Exception, SystemExit) as error:
        raise BuildError(
            f"cannot import the buildpack {offered.name} of {_distribution(offered)}: {_said(error)}",
            details=(f"it is to be at {offered.value}",),
            hint="install another version of it, or remove it from `buildpacks`",
            code="IB332",
        ) from error


def _own(request: BuildRequest, file: Setting) -> Buildpack:
    if not request.trust_buildpack:
        raise UsageError(
            f"the project has a buildpack of its own, {file.value}: its code would run on this machine",
            details=(f"it comes from {file.origin}",),
            hint="read it; if you trust it, give --trust-buildpack",
            code="IB331",
        )
    text = request.app.text(file.value)
    module = ModuleType(_MODULE)
    sys.modules[_MODULE] = module  # where dataclasses look for what annotations name
    try:
        # Not imported: that would write bytecode beside it, and take what was written there before.
        exec(compile(text, file.value, "exec"), module.__dict__)  # noqa: S102 asked for by --trust-buildpack
    except (Exception, SystemExit) as error:
        raise BuildError(
            f"cannot run {file.value}, the project's own buildpack: {_said(error)}",
            hint="correct it; --traceback shows where it happened",
            code="IB332",
        ) from error
    return _usable(getattr(module, "BUILDPACK", None), Digest.of(text.encode()).value, f"{file.value} of the project")


def _usable(value: object, version: str, origin: str) -> Buildpack:
    """Return a buildpack that names itself when it fails, and whose layers are made anew when its version changes."""
    if not isinstance(value, Buildpack):
        raise _wrong(f"{origin} gives {value!r:.80} and no Buildpack", "its value is `BUILDPACK = Buildpack(…)`")
    if not _ID.fullmatch(value.id):
        raise _wrong(f"{origin} calls its buildpack {value.id!r}", "use lower-case letters, digits and ._/-")
    places = get_args(get_type_hints(Buildpack)["place"])
    if value.place not in places:
        raise _wrong(f"{origin} puts its buildpack at {value.place!r}", f"choose one of {', '.join(places)}")
    named = replace(value, version=version, origin=origin)
    return replace(
        named,
        detect=_guarded(named, "detect", value.detect, BuildPlan, Fail),
        pin=_guarded(named, "pin", value.pin, Pins),
        build=_built(named),
        names=_guarded(named, "names", value.names, tuple),
    )


def _built(buildpack: Buildpack) -> Callable[[BuildContext], BuildResult]:
    build = _guarded(buildpack, "build", buildpack.build, BuildResult)

    def keyed(context: BuildContext) -> BuildResult:
        result = build(context)
        return replace(result, layers=tuple(_keyed(buildpack, spec) for spec in result.layers))

    return keyed


def _keyed(buildpack: Buildpack, spec: LayerSpec) -> LayerSpec:
    def entries(files: Files) -> tuple[Entry, ...]:
        return tuple(spec.entries(files))

    maker: dict[str, Json] = {"buildpack": buildpack.id, "version": buildpack.version}
    key = {**maker, "layer": spec.key} if spec.key else {}
    return replace(spec, key=key, entries=_guarded(buildpack, f"the layer {spec.name}", entries, tuple))


def _guarded(
    buildpack: Buildpack, what: str, function: Callable[[_Given], _Answer], *wanted: type
) -> Callable[[_Given], _Answer]:
    """Return the function with any failure, and any answer of another type, as BuildError IB334."""

    def guarded(given: _Given) -> _Answer:
        try:
            answer = function(given)
        except BuildError:
            raise  # it has said what is wrong in words of its own
        except (Exception, SystemExit) as error:
            raise _failed(buildpack, what, _said(error)) from error
        if not isinstance(answer, wanted):
            raise _failed(buildpack, what, f"it answers with {answer!r:.80}")
        return answer

    return guarded


def _check_ids(found: Sequence[Buildpack]) -> None:
    """Raise UsageError IB333 for two buildpacks of one id: the lock could not tell them apart."""
    taken = {element.buildpack.id: "imagebuilder" for group in groups.ORDER for element in group}
    for each in found:
        if each.id in taken:
            raise _wrong(
                f"{each.origin} calls its buildpack {each.id!r}, as {taken[each.id]} does", "give it another id"
            )
        taken[each.id] = each.origin


def _distribution(offered: "EntryPoint") -> str:
    return f"{offered.dist.name} {offered.dist.version}" if offered.dist else "an unknown distribution"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _not_one(name: str, offered: Sequence["EntryPoint"], known: Sequence[str]) -> UsageError:
    if offered:
        return _wrong(
            f"several distributions have a buildpack {name}: {', '.join(map(_distribution, offered))}",
            "uninstall all but one",
        )
    near = nearest(name, known)
    return UsageError(
        f"the buildpack {name} is not installed",
        details=(f"installed: {', '.join(known) or 'none'}",),
        hint=f"did you mean `{near}`?" if near else "install its distribution where imagebuilder is installed",
        code="IB330",
    )


def _wrong(message: str, hint: str) -> UsageError:
    return UsageError(message, hint=hint, code="IB333")


def _failed(buildpack: Buildpack, what: str, why: str) -> BuildError:
    return BuildError(
        f"the buildpack {buildpack.id} ({buildpack.origin}) fails in {what}: {why}",
        hint="report it to its author; --traceback shows where it happened",
        code="IB334",
    )
