"""The resolver: requirements become a PEP 751 document, by uv.

uv decides versions for the image's interpreter, architecture and glibc; the host's do not count. Settings and secrets
reach it through its environment, never through its arguments, which every user of the machine can read.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import tomli

from buildpacks import locks, selection
from buildpacks import requirements as requirement_files
from buildpacks.api import App, Built, Circumstances, PinnedWheel, Repository, Source
from imagebuilder import forbidden, uv_program
from imagebuilder.addresses import credentials_of
from imagebuilder.fetch import Downloader
from imagebuilder.index import Place, without_credentials
from imagebuilder.unresolved import unresolved
from layers import scratch
from layers.blobs import storage_error
from layers.canonical import Json
from layers.values import dataclass, field, replace

# The manylinux platforms that uv knows, by minor version of glibc.
_GLIBC = (17, 28, *range(31, 41))
# What of uv's environment does not change its choice.
_KEPT = ("UV_HTTP_", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_CONCURRENT_", "UV_INDEX_")

# Development groups are uv's default, and not ours. The lock counts as it is: whether it fits has been judged.
_EXPORT = (
    "export", "--frozen", "--offline", "--no-cache", "--no-config", "--no-progress", "--color=never", "--quiet",
    "--format=pylock.toml", "--no-header", "--no-emit-project", "--no-default-groups",
)  # fmt: skip


def _fetches_nothing(address: str) -> NoReturn:
    raise RuntimeError(f"nothing fetches {address}")


@dataclass(frozen=True, slots=True)
class UvResolver:
    """Resolves with the uv that is installed with this package; `folder` is where uv keeps its cache.

    `offered` are wheels of what was built, by project; `repositories` fetches commits, `archives` what an address has.
    Index settings, environment and `offline` are those of the downloader.
    """

    downloader: Downloader
    folder: Path
    offered: Mapping[str, Path] = field(default_factory=dict)
    repositories: Callable[[str], Repository] = _fetches_nothing
    archives: Callable[[str], Source] = _fetches_nothing

    def resolve(self, app: App, requirements: tuple[str, ...], circumstances: Circumstances) -> Mapping[str, Json]:
        """Resolve requirement files; implements buildpacks.services.Resolver.

        Raises what `requirements.read` raises for lines that uv is not to see, what `forbidden.check` raises, and what
        `unresolved` makes of uv's explanation if there is no solution.
        """
        forbidden.check(self.downloader.environment)
        return self._compile(app, requirements, circumstances)

    def resolve_text(self, text: str, circumstances: Circumstances, *, dependencies: bool) -> Mapping[str, Json]:
        """Resolve the text of a requirement file; implements buildpacks.services.Resolver. Raises as `resolve` does."""
        if dependencies:
            forbidden.check(self.downloader.environment)
        if circumstances.indexes:
            uv = self.bound(circumstances.indexes)
            return uv.resolve_text(text, replace(circumstances, indexes={}), dependencies=dependencies)
        flags = () if dependencies else ("--no-deps",)
        with scratch.folder(self.folder.absolute() / "scratch") as folder:
            (folder / "requirements.txt").write_text(text, "utf-8")
            return self._compile(App(folder), ("requirements.txt",), circumstances, flags)

    def repository(self, address: str) -> Repository:
        """Fetch a commit; implements buildpacks.services.Resolver."""
        return self.repositories(address)

    def archive(self, address: str) -> Source:
        """Fetch a source distribution at an address; implements buildpacks.services.Resolver."""
        return self.archives(address)

    def _compile(
        self,
        app: App,
        requirements: tuple[str, ...],
        circumstances: Circumstances,
        flags: tuple[str, ...] = (),
    ) -> Mapping[str, Json]:
        asked = requirement_files.read(app, requirements)
        try:
            # uv runs in the application's folder; old pins reach it, and new ones us, in a file.
            with scratch.folder(self.folder.absolute() / "scratch") as folder:
                pins, origins = folder / "pylock.toml", folder / "pyproject.toml"
                files = requirements
                if circumstances.previous:
                    pins.write_text(_preferences(circumstances.previous))
                if circumstances.built:
                    files = self._published(app, requirements, circumstances.built, folder)
                bound = {} if self.downloader.index.none else self._bound(asked.names)
                if bound:
                    origins.write_text(_origins(bound))
                    files = (*files, str(origins))
                ran = uv_program.run(
                    [*self._arguments(pins, circumstances), *flags, "--", *files],
                    environment=self._environment() | _logins(bound),
                    folder=app.root,
                )
                if ran.code:
                    raise unresolved(
                        ran.errors, circumstances.interpreter, circumstances.target, downloader=self.downloader
                    )
                document = tomli.loads(pins.read_text())
        except OSError as error:
            raise storage_error(error, self.folder) from error
        packages = document.get("packages", [])
        return {
            **{key: value for key, value in document.items() if isinstance(value, str)},
            "packages": [self._package(package, asked.hashes) for package in packages],
        }

    def export_uv(
        self, files: Mapping[str, str], *, extras: Sequence[str], groups: Sequence[str]
    ) -> Mapping[str, Json]:
        """Have uv write its lock in the form of PEP 751; implements buildpacks.services.Resolver.

        uv sees copies of the files alone: no folder above the application decides anything, and nothing is written
        beside them. Raises UsageError IB312 if uv cannot read its lock.
        """
        flags = [f"--extra={name}" for name in extras] + [f"--group={name}" for name in groups]
        try:
            with scratch.folder(self.folder.absolute() / "scratch") as folder:
                for path, text in files.items():
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / path).write_text(text, "utf-8")
                pins = folder / "pylock.toml"
                ran = uv_program.run(
                    [*_EXPORT, *flags, f"--python={sys.executable}", f"--output-file={pins}"],
                    environment=self._environment(),
                    folder=folder,
                )
                if ran.code:
                    raise locks.malformed("uv.lock", " ".join(without_credentials(ran.errors).split())[:300])
                document = tomli.loads(pins.read_text())
        except OSError as error:
            raise storage_error(error, self.folder) from error
        return {key: locks.plain(value) for key, value in document.items()}

    def _published(
        self, app: App, requirements: tuple[str, ...], built: Sequence[Built], folder: Path
    ) -> tuple[str, ...]:
        """Write copies of requirement files in which the wheels of what was built stand for folders and repositories.

        uv would run their backends, on the host.
        """
        copies = {f"files/{path}": text for path, text in requirement_files.published(app, requirements).items()}
        copies["built.txt"] = "".join(
            f"{each.wheel.name}[{','.join(sorted(each.extras))}] @ {self.offered[each.wheel.name].as_uri()}\n"
            for each in built
        )
        for path, text in copies.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
        return (*(str(folder / "files" / path) for path in requirements), str(folder / "built.txt"))

    def offering(self, folder: Path, wheels: Mapping[str, Path]) -> "UvResolver":
        """Return a resolver that also looks for wheels in a folder; `wheels` are those of `built`, by project."""
        links = (*self.downloader.index.find_links, Place(str(folder.absolute()), "wheels built from source"))
        index = replace(self.downloader.index, find_links=links)
        return replace(self, downloader=replace(self.downloader, index=index), offered=wheels)

    def bound(self, indexes: Mapping[str, str]) -> "UvResolver":
        """Return a resolver that takes projects from these indexes alone, by name; others as they were."""
        return replace(self, downloader=replace(self.downloader, bound={**self.downloader.bound, **indexes}))

    def _bound(self, names: Sequence[str]) -> dict[str, Place]:
        bound = self.downloader.bound
        return {name: self.downloader.index.place(bound[name]) for name in names if name in bound}

    def _arguments(self, pins: Path, circumstances: Circumstances) -> list[str]:
        target = circumstances.target
        minor = max(known for known in _GLIBC if known <= max(target.glibc[1], _GLIBC[0]))
        platform = f"{selection.MACHINES[target.platform.architecture]}-manylinux_2_{minor}"
        flags = [
            "--no-config",
            "--no-header",
            "--no-annotate",
            "--no-progress",
            "--color=never",
            "--format=pylock.toml",
        ]
        flags += [
            "--only-binary=:all:",
            f"--python={sys.executable}",
            f"--python-version={circumstances.interpreter.version}",
        ]
        flags += [
            f"--python-platform={platform}",
            f"--cache-dir={self.folder.absolute() / 'cache'}",
            f"--output-file={pins}",
        ]
        if self.downloader.offline:
            flags.append("--offline")
        if not self.downloader.index.public and not self.downloader.index.indexes:
            flags.append("--no-index")
        return ["pip", "compile", *flags]

    def _environment(self) -> dict[str, str]:
        index = self.downloader.index
        urls = [place.url for place in index.indexes]
        chosen = {
            "SSL_CERT_FILE": index.certificate,
            "UV_DEFAULT_INDEX": "" if index.public or not urls else urls.pop(),
            "UV_FIND_LINKS": ",".join(place.url for place in index.find_links),
            "UV_INDEX": " ".join(urls),
            "UV_INDEX_STRATEGY": index.strategy,
            "UV_INSECURE_HOST": " ".join(index.trusted_hosts),
            "UV_KEYRING_PROVIDER": "subprocess" if index.keyring else "",
            "UV_PYTHON_DOWNLOADS": "never",
        }
        kept = {
            name: value
            for name, value in self.downloader.environment.items()
            if not name.startswith("UV_") or (name.startswith(_KEPT) and name not in chosen)
        }
        return kept | {name: value for name, value in chosen.items() if value}

    def _package(self, package: Mapping[str, object], hashes: Mapping[str, frozenset[str]]) -> dict[str, Json]:
        """Keep of a package what decides. If the user allows other files than uv's choice, offer all there are."""
        name, version = str(package["name"]), str(package.get("version", ""))
        kept: dict[str, Json] = {"name": name, "version": version} if version else {"name": name}
        if isinstance(archive := package.get("archive"), dict):
            return {**kept, "archive": _file(archive)}
        listed = package.get("wheels")
        wheels = [_file(wheel) for wheel in listed] if isinstance(listed, list) else []
        allowed = hashes.get(name, frozenset())
        if allowed and not any(f"sha256:{_sha256(wheel)}" in allowed for wheel in wheels):
            named: list[dict[str, Json]] = [
                {"name": file.name, "url": file.url, "hashes": {"sha256": file.sha256}}
                for file in self.downloader.files(name)
                if f"sha256:{file.sha256}" in allowed
            ]
            wheels += [file for file in named if str(file["name"]).endswith(".whl")]
            if sources := [file for file in named if str(file["name"]).endswith(selection.ARCHIVES)]:
                kept["sdist"] = sources[0]
        return {**kept, "wheels": wheels}


def _origins(bound: Mapping[str, Place]) -> str:
    """Write for uv which projects come from one index alone, as [tool.uv.sources] has it. No secret is in it."""
    import tomli_w  # only what is not locked is resolved

    indexes = {place.url: f"index-{number}" for number, place in enumerate(dict.fromkeys(bound.values()))}
    sources = {name: {"index": indexes[place.url]} for name, place in bound.items()}
    listed = [{"name": name, "url": without_credentials(url), "explicit": True} for url, name in indexes.items()]
    project = {"name": "the-project", "version": "0", "dependencies": list(bound)}
    return tomli_w.dumps({"project": project, "tool": {"uv": {"sources": sources, "index": listed}}})


def _logins(bound: Mapping[str, Place]) -> dict[str, str]:
    """Return the variables by which uv finds the credentials of the indexes that `_origins` names."""
    found: dict[str, str] = {}
    for number, place in enumerate(dict.fromkeys(bound.values())):
        if login := credentials_of(place.url):
            found |= {f"UV_INDEX_INDEX_{number}_USERNAME": login[0], f"UV_INDEX_INDEX_{number}_PASSWORD": login[1]}
    return found


def _preferences(previous: Sequence[PinnedWheel]) -> str:
    """Write old pins as uv reads them from the file that it will replace: kept where they still fit."""
    packages = "".join(
        f'[[packages]]\nname = "{wheel.name}"\nversion = "{wheel.version}"\n' for wheel in previous if wheel.version
    )
    return f'lock-version = "1.0"\ncreated-by = "imagebuilder"\n{packages}'


def _file(file: Mapping[str, object]) -> dict[str, Json]:
    """Keep of a file its address, size and hashes; the time of its upload is nobody's business."""
    kept: dict[str, Json] = {
        key: value for key in ("name", "url", "path", "size") if isinstance(value := file.get(key), str | int)
    }
    hashes = file.get("hashes")
    kept["hashes"] = {str(name): str(value) for name, value in hashes.items()} if isinstance(hashes, dict) else {}
    return kept


def _sha256(file: Mapping[str, Json]) -> Json:
    hashes = file["hashes"]
    return hashes.get("sha256") if isinstance(hashes, Mapping) else None
