"""Conditions: what a build of a check runs under, value by value.

What a variation is about is held fast in the builds that do not vary it: all begin at the same second and hash from the
same seed, so that a difference is put down to what was varied and not to the time between two builds.
"""

from collections.abc import Collection, Mapping

from imagebuilder.check.disguise import Disguise
from imagebuilder.check.host import Host
from imagebuilder.options import BY_KEY
from layers.values import dataclass, field

_SECONDS = {"days": 86400, "hours": 3600}
_LOCALE = (
    "LANGUAGE", "LC_ADDRESS", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME",
)  # fmt: skip
# What follows from the home folder where nobody says otherwise.
_OF_HOME = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
# What terminals, shells and logins leave in an environment. Programs may look at it; images must not depend on it.
_LEFT_BY_LOGINS = (
    "COLORTERM", "COLUMNS", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "EDITOR", "LESS", "LESSCLOSE", "LESSOPEN", "LINES",
    "LS_COLORS", "MAIL", "OLDPWD", "PAGER", "PS1", "SHLVL", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SUDO_COMMAND",
    "SUDO_GID", "SUDO_UID", "SUDO_USER", "TERM", "VISUAL", "WAYLAND_DISPLAY", "WINDOWID", "XDG_RUNTIME_DIR",
    "XDG_SEAT", "XDG_SESSION_ID",
)  # fmt: skip
_NOISE: Mapping[str, Mapping[str, str]] = {
    "ci": {
        "BUILD_ID": "8814", "BUILD_NUMBER": "8814", "BUILD_TAG": "jenkins-shop-8814",
        "CI": "true", "CI_COMMIT_SHA": "5f2b7c1e", "CI_JOB_ID": "991", "CI_PIPELINE_ID": "77", "GIT_COMMIT": "5f2b7c1e",
        "JOB_NAME": "shop", "NODE_NAME": "agent-3", "RUNNER_NAME": "agent-3", "TERM": "dumb", "WORKSPACE": "/w/shop",
    },
    "desktop": {
        "COLORTERM": "truecolor", "DESKTOP_SESSION": "gnome", "DISPLAY": ":7", "GTK_MODULES": "noise", "LESS": "-R",
        "LS_COLORS": "di=1", "SESSION_MANAGER": "local/noise", "TERM": "xterm-256color", "WINDOWID": "7",
    },
    "server": {
        "INVOCATION_ID": "9a41", "JOURNAL_STREAM": "9:41", "MAIL": "/var/mail/operator", "NOTIFY_SOCKET": "@noise",
        "SSH_CLIENT": "192.0.2.7 7 22", "SSH_TTY": "/dev/pts/77", "SUDO_USER": "operator", "TERM": "vt100",
    },
}  # fmt: skip
_PYTHON = ("PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONNOUSERSITE", "PYTHONUNBUFFERED")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a build runs under: `workers` downloads and layers at a time. `shown` is what was varied, for people."""

    environment: Mapping[str, str]
    disguise: Disguise
    workers: int = 0
    shown: Mapping[str, str] = field(default_factory=dict)


def conditions(host: Host, selected: Collection[str], varied: Mapping[str, str]) -> Conditions:
    """Return what a build runs under if of everything `selected` these variations have these values, the rest none.

    Where files lie is not decided here: that is `places.Place`.
    """
    processors, workers = _processors(host, varied.get("cpus", ""))
    disguise = Disguise(
        user=int(varied["user"]) if "user" in varied else None,
        setuid=host.setuid,
        hostname=varied.get("hostname", ""),
        umask=int(varied["umask"], 8) if "umask" in varied else None,
        processors=processors,
        clock=host.started + _offset(varied.get("clock", "+0 days")) if "clock" in selected else None,
        faketime=host.faketime,
    )
    if "downloads" in varied:
        workers = int(varied["downloads"])
    return Conditions(_environment(host, selected, varied), disguise, workers, _shown(host, varied))


def _environment(host: Host, selected: Collection[str], varied: Mapping[str, str]) -> dict[str, str]:
    environment = dict(host.environment)
    if "noise" in varied:
        environment = _noisy(environment, varied["noise"])
    if "home" in varied:
        environment = _without(environment, _OF_HOME)
    if "locale" in varied:
        environment = _without(environment, _LOCALE) | {"LC_ALL": varied["locale"], "LANG": varied["locale"]}
        environment |= {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    if "zone" in varied:
        environment |= {"TZ": varied["zone"]}
    if "engine" in selected:
        environment |= {BY_KEY["engine"].variable: varied.get("engine", host.usual["engine"])}
    if "hashseed" in selected:
        environment |= {"PYTHONHASHSEED": varied.get("hashseed", "0")}
    return environment


def _noisy(environment: Mapping[str, str], kind: str) -> dict[str, str]:
    """Take away what a login leaves, and add what the environments of other machines hold."""
    someone = f"{kind}-someone"
    return {
        **_without(environment, _LEFT_BY_LOGINS),
        **{f"NOISE_{number}": f"{kind}-{number * 7919:x}" for number in range(20)},
        **_NOISE[kind],
        **dict.fromkeys(_PYTHON, "1"),
        "BROWSER": kind,
        "EDITOR": f"{kind}-editor",
        "LOGNAME": someone,
        "PAGER": f"{kind}-pager",
        "PATH": f"{environment.get('PATH', '/usr/local/bin:/usr/bin:/bin')}:/opt/{kind}/bin",
        "RANDOM_NOISE": f"{kind}-noise",
        "USER": someone,
        "VISUAL": f"{kind}-editor",
    }


def _without(environment: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


def _offset(text: str) -> int:
    number, unit = text.split()
    return int(number) * _SECONDS[unit]


def _processors(host: Host, value: str) -> tuple[tuple[int, ...], int]:
    """Return the processors to run on, and how many workers."""
    if not value:
        return (), host.workers
    few = host.processors[: int(value)]
    return few, len(few) if len(few) != host.workers else len(few) + 2


def _shown(host: Host, varied: Mapping[str, str]) -> dict[str, str]:
    """Say what was varied, in words where the value alone says too little."""
    processors, workers = _processors(host, varied.get("cpus", ""))
    words = {
        "cpus": f"{len(processors)} of {len(host.processors)}, with {workers} at work",
        "downloads": f"anew, {varied.get('downloads')} at a time",
        "noise": f"as on a {varied.get('noise')} machine",
        "user": f"{varied.get('user')} instead of {host.usual.get('user')}",
        "zone": f"UTC{varied.get('zone', '').partition('>')[0][1:]}",
    }
    return {name: words.get(name, value) for name, value in varied.items()}
