"""Pins of what wheels are built with: what a source and its backend say they require, as wheels by hash."""

from collections.abc import Callable, Mapping, Sequence

from buildpacks import selection
from buildpacks.api import Circumstances, Interpreter, PinnedWheel
from buildpacks.services import Resolver
from imagebuilder.lock import LockedStep
from imagebuilder.sources.builder import SourceBuilder
from layers.errors import BuildError
from layers.values import replace


def complete(
    steps: Mapping[str, LockedStep], resolver: Resolver, builder: Callable[[Interpreter], SourceBuilder]
) -> dict[str, LockedStep]:
    """Pin what wheels from source are built with, where that is not done; else the builder is not asked for.

    Raises what resolving and running a backend raise, naming the package that is to be built.
    """
    interpreter = next((step.pins.interpreter for step in steps.values() if step.pins.interpreter), None)

    def completed(wheel: PinnedWheel) -> PinnedWheel:
        if interpreter is None or not wheel.built or wheel.requires is not None:
            return wheel
        return pin_requires(wheel, resolver, builder(interpreter))

    return {
        name: replace(step, pins=replace(step.pins, wheels=tuple(map(completed, step.pins.wheels))))
        for name, step in steps.items()
    }


def pin_requires(wheel: PinnedWheel, resolver: Resolver, builder: SourceBuilder) -> PinnedWheel:
    """Pin what a source says it requires; then, with that installed, what its backend adds."""
    files = builder.fetch(wheel.sources)
    said = builder.backend(wheel, files).requires
    first = replace(wheel, requires=_resolve(said, wheel, resolver, builder, previous=()))
    files = builder.fetch(first.sources)
    added = builder.requires(first, files)
    if not added:
        return first
    requires = _resolve((*said, *added), wheel, resolver, builder, previous=first.requires or ())
    return replace(wheel, requires=requires)


def _resolve(
    requirements: Sequence[str],
    wheel: PinnedWheel,
    resolver: Resolver,
    builder: SourceBuilder,
    *,
    previous: tuple[PinnedWheel, ...],
) -> tuple[PinnedWheel, ...]:
    if not requirements:
        return ()
    text = "".join(f"{_checked(requirement, wheel)}\n" for requirement in requirements)
    try:
        circumstances = Circumstances(builder.interpreter, builder.target, previous)
        document = resolver.resolve_text(text, circumstances, dependencies=True)
        found = selection.select(document, builder.interpreter, builder.target, hashes={}, urls={})
    except BuildError as error:
        raise type(error)(
            f"cannot find what {wheel} is built with: {error.message}",
            details=error.details,
            hint=error.hint,
            code=error.code,
        ) from error
    return found


def _checked(text: str, wheel: PinnedWheel) -> str:
    """Return a requirement as PEP 508 writes it: in a requirement file, other texts are options and paths."""
    from packaging.requirements import Requirement  # only what is not locked is parsed

    try:
        requirement = Requirement(text)
    except (ValueError, RecursionError):
        requirement = None
    if requirement is None or requirement.url:
        raise BuildError(
            f"cannot build {wheel} from source: it requires {text[:100]!r}",
            hint="pin another version of it, or bring a wheel with --find-links",
            code="IB871",
        )
    return str(requirement)
