"""The build: from the request to the image in its place, one call for each thing that is done."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from buildpacks import standalone
from buildpacks.api import BuildContext, BuildResult, Interpreter, LayerSpec, Pins, Target
from buildpacks.services import Installer
from imagebuilder import application, known_layers, libraries, outputs, outside, reference, stale
from imagebuilder import lock as lockfile
from imagebuilder.base import image as base_image
from imagebuilder.base import tiers
from imagebuilder.base.image import BaseImages, Inherited
from imagebuilder.base.pins import BasePins
from imagebuilder.cache import Cache
from imagebuilder.early import EarlyUploads, uploads
from imagebuilder.export import RunConfiguration, export, merge_env
from imagebuilder.image import Image
from imagebuilder.launch import choose_default, launcher_layer, merge_processes
from imagebuilder.lock import PlatformLock
from imagebuilder.make import MadeLayer, Workshop
from imagebuilder.outcome import BuildOutcome, LayerOutcome, Pushed
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest, Output, Upgrade
from imagebuilder.resolve import Plan, resolve
from imagebuilder.suppliers import Suppliers, suppliers
from layers import compress, scratch
from layers.errors import BuildError
from layers.values import replace


def build(request: BuildRequest, progress: Progress) -> BuildOutcome:
    """Make the image of an application and bring it to every output of the request."""
    cache = Cache(request.cache_dir)
    with (
        cache.in_use(),
        scratch.folder(cache.root / "scratch") as unpacked,
        uploads(request, cache.store, progress) as early,
    ):
        supplied = suppliers(request, cache, progress)
        plan = detect(request, progress)
        pins = pinned(request, plan, supplied, progress)
        inherited = supplied.images.inherited(pins.base)
        results = run_buildpacks(request, plan, pins, supplied, unpacked=unpacked, warn=progress.warn)
        run = run_configuration(request, plan, pins, results, inherited)
        specs = describe_layers(request, pins, results, run, unpacked=unpacked, progress=progress)
        workshop = Workshop(
            cache,
            lambda sources, *arrived: supplied.fetch(sources, pins.base, *arrived),
            request.compression,
            request.workers,
            use_cache=request.use_cache,
            elsewhere=known_layers.finders(request, pins, cache.store, progress, early=early),
            early=early,
        )
        own = workshop.make(specs, progress)
        known_layers.settle(request, pins, specs, own, progress)
        made = (*(MadeLayer(layer, cached=True) for layer in inherited.layers), *own)
        static = describe_static_files(request, pins, run, made, workshop, images=supplied.images, scratch=unpacked)
        made += workshop.make(static, progress)
        exported = export(cache.store, [each.layer for each in made], run, platform=request.platform)
        image = replace(exported, origins={**inherited.origins, **known_layers.origins(made)})
        pushed, written = deliver(request, image, cache, supplied.images, progress, early=early)
        own = made[len(inherited.layers) :]
        known_layers.share(request, zip([*specs, *static], own, strict=True), cache.store, progress)
    return _outcome(request, image, made, progress, pushed=pushed, outputs=written)


def detect(request: BuildRequest, progress: Progress) -> Plan:
    """Find the group of buildpacks that fits the application."""
    with progress.step("detect") as step:
        order = outside.order(request)
        plan = resolve(order, request.app)
        outside.check(order, plan)
        step.finish(", ".join(each.buildpack.id for each in plan.steps))
        return plan


def pinned(request: BuildRequest, plan: Plan, supplied: Suppliers, progress: Progress) -> PlatformLock:
    """Return pins that fit: those on disk, else new ones, which are written down.

    Raises BuildError IB430 if the lock does not fit and the request says `--locked`.
    """
    old = lockfile.read(request.source).get(str(request.platform))
    reasons = stale.reasons(plan, request, old)
    if not reasons and old:
        _warn_of_libraries(old, progress)
        return old
    if request.locked:
        raise BuildError(
            f"{lockfile.FILE} does not fit the application",
            details=reasons[:3],
            hint="run `imagebuilder lock` and commit the result, or build without --locked",
            code="IB430",
        )
    _check_process(request, plan)
    return _renew(request, plan, supplied, Upgrade(), progress)


def lock_project(request: BuildRequest, upgrade: Upgrade, progress: Progress) -> PlatformLock:
    """Pin what is not pinned or is to be upgraded, and write the lock; makes no image."""
    cache = Cache(request.cache_dir)
    with cache.in_use():
        return _renew(request, detect(request, progress), suppliers(request, cache, progress), upgrade, progress)


def check_lock(request: BuildRequest, progress: Progress) -> tuple[str, ...]:
    """Say why the lock on disk does not fit the application; empty if it does."""
    return stale.reasons(detect(request, progress), request, lockfile.read(request.source).get(str(request.platform)))


def _renew(
    request: BuildRequest, plan: Plan, supplied: Suppliers, upgrade: Upgrade, progress: Progress
) -> PlatformLock:
    from imagebuilder import pin  # 40 ms that a build whose lock fits does not pay

    locks, name = dict(lockfile.read(request.source)), str(request.platform)
    with progress.step("pin") as step:
        old = locks.get(name)
        pins = pin.pin(plan, request, old, suppliers=supplied, upgrade=upgrade)
        pins = replace(pins, layers=old.layers if old else ())
        supplied.forget()
        changed = lockfile.write(request.source, {**locks, name: pins})
        request.app.list_again()  # that took its time, and the lock may be in the image
        step.finish(
            f"{len(pins.distributions)} Python packages, {len(pins.base.packages)} OS packages; "
            f"{lockfile.FILE} {'written' if changed else 'unchanged'}"
        )
    _warn_of_libraries(pins, progress)
    return pins


def _warn_of_libraries(pins: PlatformLock, progress: Progress) -> None:
    for warning in libraries.warnings(libraries.missing(pins.libraries, pins.base.packages)):
        progress.warn(warning)


def run_buildpacks(
    request: BuildRequest,
    plan: Plan,
    pins: PlatformLock,
    supplied: Suppliers,
    *,
    unpacked: Path,
    warn: Callable[[str], None] = lambda _text: None,
) -> tuple[BuildResult, ...]:
    """Ask the base and each buildpack what they add. Nothing is fetched or written by that.

    What runs when layers are made has `unpacked` for what it leaves.
    """
    common = BuildContext(
        app=request.app,
        requires=(),
        target=pins.base.target,
        interpreter=pins.interpreter,
        pins=Pins(),
        distributions=pins.distributions,
        builder=supplied.builder(pins.base, pins.interpreter) if pins.interpreter and pins.builds else None,
        compiler=supplied.compiler(pins.base, pins.interpreter, unpacked) if request.bytecode else None,
        installer=_installer(request, pins, supplied, unpacked) if request.native else None,
        scratch=unpacked,
        listings=supplied.listings,
        warn=warn,
    )
    return (
        base_image.addition(pins.base, pins.interpreter),
        *(
            step.buildpack.build(replace(common, requires=step.requires, pins=pins.steps[step.buildpack.id].pins))
            for step in plan.steps
        ),
    )


def _installer(request: BuildRequest, pins: PlatformLock, supplied: Suppliers, unpacked: Path) -> Installer | None:
    """Return the package manager that installs what is pinned, if anything is."""
    from imagebuilder.native import tools  # few builds install natively
    from imagebuilder.native.installer import NativeInstaller

    tool = tools.tool_of(pins.steps)
    if not tool or pins.interpreter is None:
        return None
    builder = supplied.builder(pins.base, pins.interpreter)
    return NativeInstaller(tool, request.app, tools.installed(pins.wheels), pins.tools, builder, unpacked / "native")


def preview(request: BuildRequest, plan: Plan) -> tuple[BuildResult, ...]:
    """Ask each buildpack what it would add, before anything is pinned: what the requirements name has to do.

    Good for the processes; the layers are not those of the image.
    """
    context = BuildContext(
        app=request.app,
        requires=(),
        target=Target(request.platform, request.base, (0, 0)),
        interpreter=Interpreter("3.0", "/usr/bin/python3", "not pinned"),
        pins=Pins(),
        distributions=frozenset(name for step in plan.steps for name in step.buildpack.names(request.app)),
    )
    return tuple(step.buildpack.build(replace(context, requires=step.requires)) for step in plan.steps)


def _check_process(request: BuildRequest, plan: Plan) -> None:
    """Raise UsageError IB650 for a process that there will not be: now, and not when all is fetched and pinned.

    Which processes a buildpack from outside adds may depend on what is pinned.
    """
    wanted = request.settings.get("process")
    if wanted and not any(step.buildpack.origin for step in plan.steps):
        found = merge_processes(process for result in preview(request, plan) for process in result.processes)
        choose_default(found, wanted.value)


def run_configuration(
    request: BuildRequest, plan: Plan, pins: PlatformLock, results: Sequence[BuildResult], inherited: Inherited
) -> RunConfiguration:
    """Merge what the buildpacks and the user say of how the image runs; the user has the last word."""
    processes = merge_processes(process for result in results for process in result.processes)
    wanted = request.settings.get("process")
    labels = {name: value for result in results for name, value in result.labels.items()}
    return RunConfiguration(
        title=request.title,
        default=choose_default(processes, wanted.value if wanted else ""),
        processes=processes,
        env=merge_env(*(result.env for result in results), request.env, base=inherited.env),
        created=request.created,
        buildpacks={step.buildpack.id: step.buildpack.version for step in plan.steps},
        labels={**labels, **request.labels},
        annotations={"dev.imagebuilder.compression": compress.identify(request.compression)},
        inputs=pins.inputs.value,
        base_name=request.base,
        base_digest=inherited.digest,
        base_layers=pins.base.layer_count,
        base_config=inherited.config,
    )


def describe_layers(
    request: BuildRequest,
    pins: PlatformLock,
    results: Sequence[BuildResult],
    run: RunConfiguration,
    *,
    unpacked: Path,
    progress: Progress,
) -> list[LayerSpec]:
    """List the layers from the bottom up: the base, the buildpacks', the launchers, the application."""
    return [
        *(
            tiers.layer_specs(pins.base, scratch=unpacked, warn=progress.warn)
            if isinstance(pins.base, BasePins)
            else ()
        ),
        *([standalone.layer(pins.interpreter, unpacked)] if pins.interpreter and pins.interpreter.archive else []),
        *(spec for result in results for spec in result.layers),
        *([launcher_layer(run.processes, pins.interpreter.executable)] if pins.interpreter else []),
        *application.layers(request, progress),
    ]


def describe_static_files(
    request: BuildRequest,
    pins: PlatformLock,
    run: RunConfiguration,
    made: Sequence[MadeLayer],
    workshop: Workshop,
    *,
    images: BaseImages,
    scratch: Path,
) -> list[LayerSpec]:
    """List the layer of what the application collects once all others are made, if it is asked to."""
    if not request.collectstatic:
        return []
    from imagebuilder.inside import collectstatic  # few applications have static files

    below = tuple(each.layer for each in made[pins.base.layer_count :])
    return [
        collectstatic.layer(
            request,
            pins.base,
            run,
            below,
            cache=workshop.cache,
            fetch=workshop.fetch,
            bring=partial(images.fetch, Inherited(below, origins=known_layers.origins(made))),
            scratch=scratch,
        )
    ]


def deliver(
    request: BuildRequest,
    image: Image,
    cache: Cache,
    images: BaseImages,
    progress: Progress,
    *,
    early: EarlyUploads | None = None,
) -> tuple[tuple[Pushed, ...], tuple[Output, ...]]:
    """Bring the image to registries, then to other outputs; return what was pushed and which outputs were written."""
    pushed: tuple[Pushed, ...] = ()
    if request.push:
        from imagebuilder import push, remote  # the registry client takes 25 ms, and few builds push

        settings = remote.settings_of(request, progress)
        names = [reference.parse(tag) for tag in request.tags]
        with remote.parts_of_image(image, cache.store, settings) as parts:
            pushed = push.push(parts, names, settings=settings, progress=progress, early=early)
        if request.skip_unchanged and not any(each.tags for each in pushed):
            return pushed, ()
    if request.outputs:
        images.fetch(image)
    for output in request.outputs:
        with progress.step("output") as step:
            outputs.deliver(image, cache.store, output, tags=request.tags, environment=request.environment, cache=cache)
            step.finish(str(output))
    return pushed, request.outputs


def _outcome(
    request: BuildRequest,
    image: Image,
    made: Sequence[MadeLayer],
    progress: Progress,
    *,
    pushed: tuple[Pushed, ...],
    outputs: tuple[Output, ...],
) -> BuildOutcome:
    return BuildOutcome(
        name=request.name,
        platform=request.platform,
        manifest_digest=image.manifest.digest,
        config_digest=image.config.digest,
        layers=tuple(
            LayerOutcome(
                each.layer.created_by,
                each.layer.descriptor.digest,
                each.layer.diff_id,
                each.layer.descriptor.size,
                each.cached,
            )
            for each in made
        ),
        pushed=pushed,
        outputs=tuple(map(str, outputs)),
        tags=request.tags,
        warnings=tuple(progress.warnings),
        origins=image.origins,
        timings=dict(progress.timings),
    )
