"""Pins: a plan and the lock on disk become a lock that fits.

What a buildpack chose is kept until something it looked at changes: its requirements, a file, a setting, the
interpreter. Only then, or when asked to upgrade, is the network asked what there is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from buildpacks.api import Interpreter, PinContext, PinnedConda, PinnedWheel, Pins, Setting, Source, Target
from imagebuilder import libraries, stale
from imagebuilder.base import debian, image
from imagebuilder.base.pins import Base, ImagePins
from imagebuilder.libraries import Library
from imagebuilder.lock import LockedStep, PlatformLock
from imagebuilder.request import BuildRequest, Upgrade
from imagebuilder.resolve import Plan, Step
from imagebuilder.sources import pins as sources
from imagebuilder.sources.resolver import SourceResolver
from imagebuilder.suppliers import Suppliers
from layers.errors import UsageError
from layers.values import dataclass, replace


def pin(
    plan: Plan, request: BuildRequest, lock: PlatformLock | None, *, suppliers: Suppliers, upgrade: Upgrade
) -> PlatformLock:
    """Keep what fits of a lock and choose the rest anew."""
    if upgrade.names:
        _check_names(upgrade.names, lock)
    kept = lock.base if lock and not stale.base_reason(request, lock) and not upgrade.everything else None
    if kept and kept.packages & upgrade.names:
        kept = None
    if image.is_image(request.base):
        return _pin_on_image(plan, request, lock, kept, suppliers=suppliers, upgrade=upgrade)
    build_packages = stale.build_packages(request)
    offer = _Offer(
        debian.target(suppliers.index()) if kept is None else kept.target,
        lambda: debian.interpreters(suppliers.index()) + suppliers.pythons.interpreters(offer.target),
        lambda interpreter: (
            kept
            if kept
            and lock
            and (lock.build_packages, _os_packages(lock.interpreter)) == (build_packages, _os_packages(interpreter))
            else debian.pin(
                suppliers.index(),
                interpreter=interpreter,
                packages=tuple(sorted({*request.packages} - {libraries.AUTO})),
                build_packages=build_packages,
            )
        ),
    )
    old_steps = _fitting_steps(lock, offer)
    steps = _pin_steps(plan, request, old_steps, suppliers=suppliers, upgrade=upgrade, offer=offer, renew=kept is None)
    packages = stale.packages(request, steps)
    needed = _libraries(steps, packages, lock if kept else None, suppliers)
    wanted = (packages, build_packages, _to_add(packages, needed), _os_packages(_interpreter(steps)))
    if kept is None or lock is None or wanted != _known(lock):
        if kept:  # the base is chosen anew, so the interpreter in it has to be the newest too
            steps = _pin_steps(plan, request, steps, suppliers=suppliers, upgrade=upgrade, offer=offer, renew=True)
            needed = _libraries(steps, packages, None, suppliers)
        kept = debian.pin(
            suppliers.index(),
            interpreter=_interpreter(steps),
            packages=tuple(sorted({*packages, *_to_add(packages, needed)} - {libraries.AUTO})),
            build_packages=build_packages,
        )
    steps = sources.complete(steps, suppliers.resolver(), partial(suppliers.builder, kept))
    tools = _tools(request, lock, steps, suppliers=suppliers, upgrade=upgrade, target=offer.target)
    return PlatformLock(kept, packages, steps, build_packages, needed, tools)


def _libraries(
    steps: Mapping[str, LockedStep], packages: tuple[str, ...], lock: PlatformLock | None, suppliers: Suppliers
) -> tuple[Library, ...]:
    """Look for libraries that wheels need and nobody brings; what is known of the same wheels is not asked again."""
    wheels = tuple(wheel for step in steps.values() for wheel in step.pins.wheels)
    if lock and lock.packages == packages and lock.wheels == wheels:
        return lock.libraries
    return libraries.find(
        wheels,
        fetch=lambda sources: suppliers.fetch(sources, None),
        packages_with=suppliers.packages_with,
        scratch_root=suppliers.scratch,
        strict=libraries.AUTO in packages,
    )


def _tools(
    request: BuildRequest,
    lock: PlatformLock | None,
    steps: Mapping[str, LockedStep],
    *,
    suppliers: Suppliers,
    upgrade: Upgrade,
    target: Target,
) -> tuple[PinnedWheel, ...]:
    """Pin the package manager, if it is to install; the one that there is stays, as long as the interpreter does."""
    if not request.native:
        return ()
    from imagebuilder.native import tools  # few builds install natively

    interpreter = _interpreter(steps)
    old = lock.tools if lock and not upgrade.everything else ()
    previous = tuple(wheel for wheel in old if wheel.name not in upgrade.names)
    if lock and old and previous == old and lock.interpreter == interpreter and tools.tool_of(steps) in _names(old):
        return old
    return tools.pin(steps, interpreter, target, resolver=suppliers.resolver(), previous=previous)


def _names(wheels: Iterable[PinnedWheel]) -> frozenset[str]:
    return frozenset(wheel.name for wheel in wheels)


def _known(lock: PlatformLock) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str], tuple[str, ...]]:
    """Return what the base in a lock was chosen for."""
    added = _to_add(lock.packages, lock.libraries)
    return lock.packages, lock.build_packages, added, _os_packages(lock.interpreter)


def _to_add(packages: tuple[str, ...], needed: Iterable[Library]) -> frozenset[str]:
    return libraries.to_add(needed) if libraries.AUTO in packages else frozenset()


def _pin_on_image(
    plan: Plan,
    request: BuildRequest,
    lock: PlatformLock | None,
    kept: Base | None,
    *,
    suppliers: Suppliers,
    upgrade: Upgrade,
) -> PlatformLock:
    base = kept if isinstance(kept, ImagePins) else suppliers.images.pin(request.base, request.platform)
    offer = _Offer(
        base.target,
        lambda: base.found.interpreters + suppliers.pythons.interpreters(offer.target),
        lambda _interpreter: base,
    )
    old_steps = _fitting_steps(lock, offer)
    steps = _pin_steps(plan, request, old_steps, suppliers=suppliers, upgrade=upgrade, offer=offer, renew=kept is None)
    packages = stale.packages(request, steps)
    if libraries.AUTO in packages:
        raise UsageError(
            f'packages = ["auto"] cannot add anything to {base.name}: it is an image, and not made of packages',
            hint="choose a base that has the libraries, or `debian:trixie`",
            code="IB340",
        )
    image.check_packages(base, (*packages, *request.build_packages))
    tools = _tools(request, lock, steps, suppliers=suppliers, upgrade=upgrade, target=offer.target)
    steps = sources.complete(steps, suppliers.resolver(), partial(suppliers.builder, base))
    return PlatformLock(base, packages, steps, tools=tools)


@dataclass(frozen=True, slots=True)
class _Offer:
    """What wheels have to fit, which interpreters there are (of the base, and those that run on it), and a base.

    The base in which something is built to see what it requires is the one that will be pinned, unless a buildpack
    asks for packages besides.
    """

    target: Target
    interpreters: Callable[[], tuple[Interpreter, ...]]
    base: Callable[[Interpreter], Base]


def _fitting_steps(lock: PlatformLock | None, offer: _Offer) -> Mapping[str, LockedStep]:
    """Return the old steps; those with wheels are to be pinned anew if those may not fit the C library any more."""
    if lock is None or lock.base.target.glibc == offer.target.glibc:
        return lock.steps if lock else {}
    return {id_: replace(step, interpreter="") if step.pins.wheels else step for id_, step in lock.steps.items()}


def _pin_steps(
    plan: Plan,
    request: BuildRequest,
    old: Mapping[str, LockedStep],
    *,
    suppliers: Suppliers,
    upgrade: Upgrade,
    offer: _Offer,
    renew: bool,
) -> dict[str, LockedStep]:
    """Pin step by step; `renew` chooses the interpreter anew."""
    steps: dict[str, LockedStep] = {}
    for step in plan.steps:
        locked = old.get(step.buildpack.id)
        interpreter = _interpreter(steps)
        keep = (
            locked is not None
            and not stale.step_reason(step, locked, request.app, interpreter)
            and not upgrade.everything
            and not locked.pins.names & upgrade.names
            and not (renew and locked.pins.interpreter)
        )
        if locked is None or not keep:
            locked = _pin_step(
                step, request, _previous(locked, upgrade), suppliers=suppliers, offer=offer, interpreter=interpreter
            )
        steps[step.buildpack.id] = locked
    return steps


def _pin_step(
    step: Step,
    request: BuildRequest,
    previous: Pins,
    *,
    suppliers: Suppliers,
    offer: _Offer,
    interpreter: Interpreter | None,
) -> LockedStep:
    files: set[str] = set()
    settings = _Recorded(request.settings)
    processes = _Recorded(request.processes)
    app = replace(request.app, settings=settings, processes=processes, on_read=files.add)
    pins = step.buildpack.pin(
        PinContext(
            app=app,
            requires=step.requires,
            target=offer.target,
            interpreters=offer.interpreters,
            interpreter=interpreter,
            resolver=SourceResolver(suppliers.resolver(), lambda python: suppliers.builder(offer.base(python), python)),
            previous=previous,
            conda=suppliers.conda,
        )
    )
    return LockedStep(
        _sized(pins, suppliers),
        step.requires,
        {path: stale.digest(request.app, path) for path in sorted(files)},
        {**settings.seen, **{f"processes.{name}": value for name, value in processes.seen.items()}},
        interpreter.version if interpreter else "",
        step.buildpack.version,
    )


def _sized(pins: Pins, suppliers: Suppliers) -> Pins:
    """Find out the sizes that an index did not tell: which wheels get layers of their own depends on them."""
    packages: tuple[PinnedWheel | PinnedConda, ...] = (*pins.wheels, *pins.conda)
    known = [package.source for package in packages if isinstance(package.source, Source)]
    unknown = [source for source in known if source.size is None]
    if not unknown:
        return pins
    files = suppliers.fetch(unknown, None)
    sizes = {source.digest: files[source.digest].stat().st_size for source in unknown}

    def sized(source: Source) -> Source:
        return replace(source, size=sizes.get(source.digest, source.size))

    wheels = (
        replace(wheel, source=sized(wheel.source)) if isinstance(wheel.source, Source) else wheel
        for wheel in pins.wheels
    )
    conda = (replace(package, source=sized(package.source)) for package in pins.conda)
    return replace(pins, wheels=tuple(wheels), conda=tuple(conda))


class _Recorded(Mapping[str, Setting]):
    """Settings that remember which of them were looked at; `*` stands for the names that there were."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = settings
        self.seen: dict[str, str] = {}

    def __getitem__(self, name: str) -> Setting:
        self.seen[name] = self._settings[name].value if name in self._settings else ""
        return self._settings[name]

    def __iter__(self) -> Iterator[str]:
        self.seen["*"] = stale.names(self._settings)
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)


def _os_packages(interpreter: Interpreter | None) -> tuple[str, ...]:
    return interpreter.packages if interpreter else ()


def _interpreter(steps: Mapping[str, LockedStep]) -> Interpreter | None:
    return next((step.pins.interpreter for step in steps.values() if step.pins.interpreter), None)


def _previous(locked: LockedStep | None, upgrade: Upgrade) -> Pins:
    if locked is None or upgrade.everything:
        return Pins()
    wheels = tuple(wheel for wheel in locked.pins.wheels if wheel.name not in upgrade.names)
    conda = tuple(package for package in locked.pins.conda if package.name not in upgrade.names)
    return replace(locked.pins, wheels=wheels, conda=conda)


def _check_names(names: frozenset[str], lock: PlatformLock | None) -> None:
    known = lock.base.packages | lock.distributions | _names(lock.tools) if lock else frozenset()
    if missing := sorted(names - known):
        raise UsageError(
            f"cannot upgrade {', '.join(missing)}: the lock has no such package",
            hint="name packages of the lock, or leave the name out to upgrade everything",
            code="IB432",
        )
