"""Options: everything a user can set, as one table.

The command line, the environment variables, the keys of the configuration files, `--help`, the completion and the
schema for editors are all made from it, so none of them can lag behind.
"""

from typing import Literal

from layers.values import dataclass

GLOBAL = "*"
COMMANDS = {
    "build": "build the image of the application in DIR",
    "plan": "show what would be built and where each value comes from",
    "lock": "pin the base, the interpreter and every package by hash",
    "check": "build twice under other conditions; exit 1 if the images differ",
    "diff": "compare any two images and say why they differ",
    "audit": "rebuild a published image from its source and compare",
    "inspect": "show what is in an image, wherever it is",
    "push": "push an image to one or several names in registries",
    "copy": "copy an image between registries, layouts and archives",
    "cache": "show, prune or verify the cache",
    "explain": "explain an error by its code, for example IB102",
    "schema": "print the JSON schema of the configuration, plan or reports",
    "completion": "print the completion script of a shell",
}


@dataclass(frozen=True, slots=True)
class Option:
    """Something to set: a flag of some commands, a variable, a key of a configuration file, or several of them.

    An option without `metavar` is a switch. `file` is its type in [tool.imagebuilder], empty if it may not stand
    there; `user` allows it in the configuration of the user, which must not change the bytes of an image.
    """

    key: str
    help: str
    metavar: str = ""
    short: str = ""
    commands: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    many: bool = False
    file: Literal["", "text", "list", "text or list", "table"] = ""
    user: bool = False

    @property
    def flag(self) -> str:
        """The long flag."""
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable; none for tables."""
        return "" if self.file == "table" else f"IMAGEBUILDER_{self.key.replace('-', '_').upper()}"


PLATFORMS = ("linux/amd64", "linux/arm64")
COMPRESSIONS = ("gzip", "zstd", "none")
PROGRESS = ("auto", "tty", "plain", "jsonl", "none")
MANAGERS = ("pip", "pipenv", "uv", "poetry", "pdm", "pylock", "conda", "pyproject")
ENGINES = ("direct", "native")
BYTECODE = ("none", "unchecked-hash")
PYTHON_BUILDS = ("auto", "base", "standalone")
COLOURS = ("auto", "always", "never")
_BUILD = ("build",)
_DECIDE = ("build", "plan", "lock", "check", "audit")
_WRITE = ("build", "push", "copy")
_REGISTRIES = ("build", "lock", "check", "diff", "audit", "inspect", "push", "copy")
_VERDICT = ("check", "diff", "audit")
_ALL = (GLOBAL,)

OPTIONS = (
    Option("tag", "name of the image; may be repeated", "REF", "-t", _BUILD, many=True),
    Option("push", "push to every name given with --tag", commands=_BUILD),
    Option("skip-unchanged", "if all names have the image, write no output", commands=_BUILD),
    Option("load", "load into a running engine: docker or podman", "ENGINE", "", _BUILD, ("docker", "podman")),
    Option("output", "where to write it (default: oci:dist/NAME.oci)", "DEST", "-o", _BUILD, many=True),
    Option("name", "name of the application (default: the project's)", "NAME", "", _DECIDE, file="text"),
    Option("platform", "linux/amd64 (default) or linux/arm64", "NAME", "", _DECIDE, PLATFORMS, file="text"),
    Option("base", "debian:SUITE (default: debian:trixie) or an image", "NAME", "", _DECIDE, file="text"),
    Option("python", "version of the interpreter", "VERSION", "", _DECIDE, file="text"),
    Option("python-build", "whose it is: auto, base or standalone", "NAME", "", _DECIDE, PYTHON_BUILDS, file="text"),
    Option("project-version", "version, where its backend would ask Git", "VERSION", "", _DECIDE, file="text"),
    Option("engine", "who installs: direct (default) or native", "NAME", "", _DECIDE, ENGINES, file="text"),
    Option("process", "type of process that starts by default", "TYPE", "", _DECIDE, file="text"),
    Option("entry", "command of the process `web`", "COMMAND", "", _DECIDE, file="text"),
    Option("trust-buildpack", "run the project's own buildpack here", commands=_DECIDE),
    Option("locked", "fail if the lock does not fit, do not update it", commands=_BUILD),
    Option("offline", "use only what is in the cache", commands=("build", "lock", "check", "audit")),
    Option("no-cache", "make every layer anew", commands=_BUILD),
    Option("cache-from", "registry's cache to take layers from; may be repeated", "REF", "", _BUILD, many=True),
    Option("cache-to", "registry's cache to bring layers to", "REF", "", _BUILD),
    Option("bytecode", "of modules: none (default), unchecked-hash", "KIND", "", _DECIDE, BYTECODE, file="text"),
    Option("compression", "of layers: gzip (default), zstd or none", "NAME", "", _DECIDE, COMPRESSIONS, file="text"),
    Option("created", "time in the image: git, now, seconds, RFC 3339", "TIME", "", _DECIDE, file="text"),
    Option("insecure-registry", "host that speaks http; may be repeated", "HOST", "", _REGISTRIES, many=True),
    Option("token-host", "other host that may see a login; may be repeated", "HOST", "", _REGISTRIES, many=True),
    Option("digest-file", "write the digest of the manifest to FILE", "FILE", "", _WRITE),
    Option("metadata-file", "write what --json prints to FILE", "FILE", "", _WRITE),
    Option("workers", "downloads and layers at a time", "N", "", ("build", "lock", "check", "audit")),
    Option("upgrade", "choose anew: all, or NAME; may be repeated", "NAME", "", ("lock",), many=True),
    Option("check", "write nothing; exit 1 if the lock does not fit", commands=("lock",)),
    Option("vary", "what to vary (default: all), separated by commas", "NAMES", "", ("check",), many=True),
    Option("builds", "how many builds (default: 2)", "N", "", ("check",)),
    Option("prepare", "shell command to run in the source before each build", "COMMAND", "", ("check",)),
    Option("rootfs", "compare the final file systems only", commands=("diff",)),
    Option("html", "write a page with everything that was found to FILE", "FILE", "", (*_VERDICT, "inspect")),
    Option("junit", "write the verdict as JUnit XML to FILE", "FILE", "", _VERDICT),
    Option("layers", "show the layers only", commands=("inspect",)),
    Option("files", "list the files of every layer", commands=("inspect",)),
    Option("keep", "cache prune: keep what was used last, up to SIZE", "SIZE", "", ("cache",)),
    Option("packages", "Debian packages to add to the image; auto: those that wheels need", file="list"),
    Option("build-packages", "Debian packages for what is built, not for the image", file="list"),
    Option("requirements", "files that name the packages to install", file="text or list"),
    Option("manager", "whose files name the packages, if several are there", "NAME", choices=MANAGERS, file="text"),
    Option("extras", "extras of the project to install", file="list"),
    Option("groups", "dependency groups to install", file="list"),
    Option("buildpacks", "installed third-party buildpacks to use, by name", file="list"),
    Option("buildpack", "`file` of the project with a buildpack of its own", file="table"),
    Option("processes", "type of process to command", file="table"),
    Option(
        "collectstatic", "manage.py of a Django project whose static files are to be collected", "PATH", file="text"
    ),
    Option("collectstatic-env", "variables for that, beside those of the image", file="table"),
    Option("env", "environment of the image", file="table"),
    Option("labels", "labels of the image", file="table"),
    Option("python-mirror", "where standalone builds of Python come from", file="text", user=True),
    Option("conda-channel-alias", "where conda channels are that are given by name", file="text", user=True),
    Option("debian-mirror", "where Debian packages come from", file="text", user=True),
    Option("debian-snapshot", "archive of packages that have left the mirror", file="text", user=True),
    Option("debian-keyring", "file with the keys that sign the mirror", file="text"),
    Option("debian-expired", "accept a mirror that has stood still", commands=("build", "lock", "check", "audit")),
    Option("directory", "change to DIR first", "DIR", "-C", _ALL),
    Option("quiet", "print the result and errors only", "", "-q", _ALL),
    Option("verbose", "print details", "", "-v", _ALL),
    Option("json", "print the result as a JSON document", commands=_ALL),
    Option("progress", "auto, tty, plain, jsonl or none", "MODE", "", _ALL, PROGRESS),
    Option("color", "auto, always or never", "WHEN", "", _ALL, COLOURS, user=True),
    Option("cache-dir", "folder of the cache", "DIR", "", _ALL, user=True),
    Option("traceback", "show where in the program an error arose", commands=_ALL),
)
BY_KEY = {option.key: option for option in OPTIONS}


def options_of(command: str) -> tuple[Option, ...]:
    """Return the options that are flags of a command; those of every command come last."""
    return tuple(option for option in OPTIONS if command in option.commands or GLOBAL in option.commands)
