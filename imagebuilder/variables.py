"""Variables: what Paketo's users already set (BP_*, BPE_*), in our words and with its origin.

Semantics as in Paketo's cpython, pip-install, environment-variables and image-labels buildpacks.
"""

import re
import shlex
from collections.abc import Mapping

from buildpacks.api import Setting
from imagebuilder.settings import Given
from layers.errors import UsageError
from layers.expression import expression
from layers.values import dataclass, field

# Options by variable. Those that only some buildpacks read have no option of their own and keep their name.
_OPTIONS = {
    "BP_CPYTHON_VERSION": "python",
    "BP_PIP_DEST_PATH": "BP_PIP_DEST_PATH",
    "BP_PIP_FIND_LINKS": "BP_PIP_FIND_LINKS",
    "BP_PIP_REQUIREMENT": "requirements",
    "BP_POETRY_INSTALL_ONLY": "BP_POETRY_INSTALL_ONLY",
    "BP_POETRY_RUN_TARGET": "entry",
    "BP_PROCFILE_DEFAULT_PROCESS": "BP_PROCFILE_DEFAULT_PROCESS",
    "BP_UV_INSTALL_GROUPS": "BP_UV_INSTALL_GROUPS",
}
# What these ask for is so in any case: no warning.
_ALWAYS_SO = ("BP_CPYTHON_RM_SETUPTOOLS", "BP_DIRECT_PROCESS", "BP_ENABLE_PACKAGE_MANAGERS")
_LABEL = "org.opencontainers.image."
_LABELS = (
    "AUTHORS", "CREATED", "DESCRIPTION", "DOCUMENTATION", "LICENSES", "REF_NAME", "REVISION", "SOURCE", "TITLE",
    "URL", "VENDOR", "VERSION",
)  # fmt: skip
_BPE = expression(r"BPE_(?:(APPEND|DEFAULT|DELIM|OVERRIDE|PREPEND)_)?(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class VariableSettings:
    """Values by option, labels and environment of the image, and the variables that have no effect here."""

    values: Mapping[str, Given] = field(default_factory=dict)
    labels: Mapping[str, Setting] = field(default_factory=dict)
    env: Mapping[str, Setting] = field(default_factory=dict)
    without_effect: tuple[str, ...] = ()


def read(variables: Mapping[str, str], env: Mapping[str, Setting], *, where: str = "") -> VariableSettings:
    """Read BP_* and BPE_* variables; `env` are the values that appending refers to, `where` the file they stand in.

    Raises UsageError IB113 for labels that are no shell words and for a value appended to nothing.
    """
    suffix = f" ({where})" if where else ""
    values: dict[str, Given] = {}
    labels: dict[str, Setting] = {}
    without_effect = []
    for name in sorted(name for name, value in variables.items() if name.startswith("BP_") and value):
        origin = f"{name}{suffix}"
        if name in _OPTIONS:
            values[_OPTIONS[name]] = Given(tuple(variables[name].split()), origin)
        elif name == "BP_IMAGE_LABELS":
            labels |= _labels(variables[name], origin)
        elif name.removeprefix("BP_OCI_") in _LABELS:
            key = name.removeprefix("BP_OCI_").lower().replace("_", ".")
            labels[_LABEL + key] = Setting(variables[name], origin)
        elif name not in _ALWAYS_SO:
            without_effect.append(origin)
    return VariableSettings(values, labels, _env(variables, env, suffix), tuple(without_effect))


def _labels(text: str, origin: str) -> dict[str, Setting]:
    try:
        pairs = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise _malformed(origin, text, str(error)) from error
    if bad := [name for name, equals, _ in pairs if not (name and equals)]:
        raise _malformed(origin, text, f"`{bad[0]}` has no `=`")
    return {name: Setting(value, origin) for name, _, value in pairs}


def _malformed(origin: str, text: str, reason: str) -> UsageError:
    return UsageError(
        f"cannot read {origin}: {reason}: {text}", hint='write `name=value other="two words"`', code="IB113"
    )


def _env(variables: Mapping[str, str], known: Mapping[str, Setting], suffix: str) -> dict[str, Setting]:
    """Apply BPE_* in a fixed order: defaults, values, then what is put before and behind."""
    parsed: dict[str, dict[str, str]] = {}
    for variable, value in variables.items():
        if found := _BPE.fullmatch(variable):
            parsed.setdefault(found[1] or "", {})[found[2]] = value
    env: dict[str, Setting] = {}
    for kind in ("DEFAULT", "", "OVERRIDE", "PREPEND", "APPEND"):
        for name, value in sorted(parsed.get(kind, {}).items()):
            origin = f"BPE_{kind}_{name}{suffix}" if kind else f"BPE_{name}{suffix}"
            before = env.get(name, known.get(name))
            if kind == "DEFAULT" and before:
                continue
            if kind in ("PREPEND", "APPEND"):
                value = _joined(before, value, kind, parsed.get("DELIM", {}).get(name, ""), origin)
            env[name] = Setting(value, origin)
    return env


def _joined(before: Setting | None, value: str, kind: str, delimiter: str, origin: str) -> str:
    if before is None:
        raise UsageError(
            f"{origin} has nothing to join: the configuration sets no such variable",
            hint="set the whole value, for example under [tool.imagebuilder.env]",
            code="IB113",
        )
    return delimiter.join((before.value, value) if kind == "APPEND" else (value, before.value))
