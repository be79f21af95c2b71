"""Requirements resolved where some packages have no wheel that fits: what is published as source only is built first.

uv must run no code of strangers on the host, so it is shown wheels only. When it says that a package has none, one is
built of its source in the sandbox and put where uv finds it; then uv is asked again. The answer names the source.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from buildpacks import selection
from buildpacks.api import App, Circumstances, Interpreter, PinnedWheel, Repository, Source
from imagebuilder.resolver import UvResolver
from imagebuilder.simple import IndexFile
from imagebuilder.sources import pins
from imagebuilder.sources.builder import SourceBuilder
from imagebuilder.unresolved import NoWheelError
from layers import scratch
from layers.canonical import Json
from layers.digest import Digest
from layers.values import dataclass, replace
from layers.wheel import read_wheel

if TYPE_CHECKING:
    from packaging.version import Version

# More would be a sign that something goes in circles.
_MOST_BUILT = 50


@dataclass(frozen=True, slots=True)
class SourceResolver:
    """Resolves with uv; implements `services.Resolver`. `builder` is asked for if something has to be built."""

    uv: UvResolver
    builder: Callable[[Interpreter], SourceBuilder]

    def resolve(self, app: App, requirements: tuple[str, ...], circumstances: Circumstances) -> Mapping[str, Json]:
        """Resolve requirement files. Raises what uv's resolver raises, and what building a source raises."""
        return self._with_built(lambda uv: uv.resolve(app, requirements, circumstances), circumstances)

    def resolve_text(self, text: str, circumstances: Circumstances, *, dependencies: bool) -> Mapping[str, Json]:
        """Resolve the text of a requirement file. Raises as `resolve` does."""
        if circumstances.indexes:
            bound = replace(self, uv=self.uv.bound(circumstances.indexes))
            return bound.resolve_text(text, replace(circumstances, indexes={}), dependencies=dependencies)
        return self._with_built(
            lambda uv: uv.resolve_text(text, circumstances, dependencies=dependencies), circumstances
        )

    def repository(self, address: str) -> Repository:
        """Fetch a commit."""
        return self.uv.repository(address)

    def archive(self, address: str) -> Source:
        """Fetch a source distribution at an address."""
        return self.uv.archive(address)

    def export_uv(
        self, files: Mapping[str, str], *, extras: Sequence[str], groups: Sequence[str]
    ) -> Mapping[str, Json]:
        """Have uv write its lock in the form of PEP 751: nothing is chosen, so nothing has to be built."""
        return self.uv.export_uv(files, extras=extras, groups=groups)

    def _with_built(
        self, ask: Callable[[UvResolver], Mapping[str, Json]], circumstances: Circumstances
    ) -> Mapping[str, Json]:
        """Ask uv when what is to be built first is; as long as it misses a wheel, build one and ask again."""
        interpreter, first = circumstances.interpreter, circumstances.built
        built: list[PinnedWheel] = []
        with scratch.folder(self.uv.folder.absolute() / "built") as folder:
            wheels = {each.wheel.name: self._offer(each.wheel, self.builder(interpreter), folder)[1] for each in first}
            while True:
                try:
                    uv = self.uv.offering(folder, wheels) if built or wheels else self.uv
                    return _named(ask(uv), built, wheels)
                except NoWheelError as error:
                    source = self._find(error.wanted, interpreter, built) if len(built) < _MOST_BUILT else None
                    if source is None:
                        raise
                    built.append(self._offer(source, self.builder(interpreter), folder)[0])

    def _find(self, wanted: str, interpreter: Interpreter, tried: Sequence[PinnedWheel]) -> PinnedWheel | None:
        """Return the newest source that is wanted and was not tried; a pre-release only if there is nothing else."""
        from packaging.requirements import Requirement  # only what is not locked is resolved
        from packaging.utils import canonicalize_name

        requirement = Requirement(wanted)
        name = canonicalize_name(requirement.name)
        offered = dict(_sources(self.uv, name, interpreter))
        allowed = requirement.specifier.filter(offered)
        known = {(wheel.name, wheel.version) for wheel in tried}
        versions = [version for version in allowed if (name, str(version)) not in known]
        if not versions:
            return None
        version = max(versions)
        file = offered[version]
        index = self.uv.downloader.bound.get(name, "")
        source = Source("sdist", file.name, Digest(f"sha256:{file.sha256}"), file.size, name, index)
        return PinnedWheel(name, str(version), source)

    def _offer(self, source: PinnedWheel, builder: SourceBuilder, folder: Path) -> tuple[PinnedWheel, Path]:
        """Build a wheel into a folder, under a name that says which project, version and tag it is of."""
        complete = pins.pin_requires(source, self.uv, builder)
        path = builder.build(complete, builder.fetch(complete.sources))
        wheel = read_wheel(path)
        known = [str(tag) for tag in selection.tags(builder.interpreter, builder.target)]
        tag = next(tag for tag in known if tag in wheel.tags)
        offered = folder / f"{wheel.name.replace('-', '_')}-{wheel.version}-{tag}.whl"
        offered.symlink_to(path.absolute())
        return complete, offered


def _sources(uv: UvResolver, name: str, interpreter: Interpreter) -> "list[tuple[Version, IndexFile]]":
    from packaging.specifiers import SpecifierSet  # only what is not locked is resolved
    from packaging.utils import parse_sdist_filename

    found = []
    for file in uv.downloader.files(name):
        try:
            project, version = parse_sdist_filename(file.name)
            fits = SpecifierSet(file.python).contains(interpreter.version, prereleases=True)
        except ValueError:
            continue
        if project == name and fits and file.sha256 and not file.yanked:
            found.append((version, file))
    return found


def _named(
    document: Mapping[str, Json], built: Sequence[PinnedWheel], unpublished: Collection[str]
) -> Mapping[str, Json]:
    """Put the sources in the place of the wheels that were made of them; folders and repositories have no files."""
    packages = document["packages"]
    sources = {(wheel.name, wheel.version): source for wheel in built for source in wheel.sources[:1]}
    if not isinstance(packages, Sequence) or isinstance(packages, str):
        return document
    return {**document, "packages": [_from_source(package, sources, unpublished) for package in packages]}


def _from_source(package: Json, sources: Mapping[tuple[str, str], Source], unpublished: Collection[str]) -> Json:
    if not isinstance(package, Mapping):
        return package
    if package.get("name") in unpublished:
        return {"name": package["name"], "directory": {"path": "."}}
    source = sources.get((str(package.get("name")), str(package.get("version"))))
    if source is None:
        return package
    file: dict[str, Json] = {"name": source.name, "url": source.name, "hashes": {"sha256": source.digest.hex}}
    if source.size is not None:
        file["size"] = source.size
    return {**{key: value for key, value in package.items() if key != "wheels"}, "sdist": file}
