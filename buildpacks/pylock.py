"""pylock: the packages of a lock in the standard's form (PEP 751): pylock.toml, or what `requirements` names."""

from buildpacks import declared, environment, locks
from buildpacks.api import App, Buildpack, BuildPlan, Fail, PinContext, Pins, Require
from layers.errors import UsageError


def detect(app: App) -> BuildPlan | Fail:
    """Fit if the packages come from a pylock.toml; IB311 if the one that a setting names is not there."""
    if fail := declared.unless(app, "pylock"):
        return fail
    lock_file(app)
    return BuildPlan(provides=("site-packages",), requires=(Require("cpython", build=True),))


def lock_file(app: App) -> str:
    """Return the path of the lock; UsageError IB400 if a setting names one that is not there."""
    setting = app.setting("requirements", "BP_PIP_REQUIREMENT")
    file = setting.value if setting and declared.is_pylock(setting.value) else "pylock.toml"
    if not app.has(file):
        raise UsageError(
            f"there is no lock {file}",
            details=(f"it comes from {setting.origin}",) if setting else (),
            hint="name a file of the application, relative to its folder",
            code="IB400",
        )
    return file


def pin(context: PinContext) -> Pins:
    """Choose the wheels of the lock: its default groups, and the extras and groups that are asked for."""
    file = lock_file(context.app)
    document = context.app.toml(file)
    extras, groups = (document.get(key) for key in ("extras", "dependency-groups"))
    asked = locks.asked(
        context.app,
        file,
        extras=extras if isinstance(extras, list) else (),
        groups=groups if isinstance(groups, list) else (),
    )
    packages = [locks.plain(package) for package in locks.tables(document.get("packages"), file)]
    plain = {key: locks.plain(value) for key, value in document.items() if key != "packages"}
    return locks.pins_of(context, {**plain, "packages": packages}, file=file, asked=asked)


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of all packages of the lock."""
    return locks.names(app, lock_file(app), "packages")


BUILDPACK = Buildpack("pylock", detect, pin, environment.build, names)
