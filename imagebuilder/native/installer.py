"""Installations by package managers: run once in the sandbox, of fetched files alone, and read back file by file."""

import posixpath
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import imagebuilder
from buildpacks import environment, selection
from buildpacks.api import App, Files, PinnedWheel, Source
from imagebuilder.export import FORMAT
from imagebuilder.inside.runnable import Runnable, runnable
from imagebuilder.native import orders
from imagebuilder.native.orders import Offered, Order
from imagebuilder.sandbox import command
from imagebuilder.sandbox.box import EPOCH, Sandbox
from imagebuilder.sources.builder import SourceBuilder
from layers import entry
from layers.blobs import storage_error
from layers.canonical import Json
from layers.digest import Digest
from layers.entry import Entry
from layers.errors import BuildError
from layers.installed import Installed, read_installed
from layers.unpack import unpack
from layers.values import dataclass, field
from layers.wheel import read_wheel

# It can be imported inside only.
_PLUGIN = Path(__file__).with_name("poetry_plugin.py")
_ENTRY_POINTS = "[poetry.plugin]\nimagebuilder = imagebuilder_index:FolderAsIndex\n"
_METADATA = "Metadata-Version: 2.1\nName: imagebuilder-index\nVersion: 1\n"


@dataclass(frozen=True)
class NativeInstaller:
    """Installs the wheels of an application with its package manager; implements buildpacks.services.Installer.

    `wheels` are those that it is to install, `tools` itself and what it depends on. `builder` gives the interpreter,
    the base and the cache, and builds what has no wheel: the tools only install. `folder` is where the installation
    lies until layers are made of it.
    """

    tool: str
    app: App
    wheels: tuple[PinnedWheel, ...]
    tools: tuple[PinnedWheel, ...]
    builder: SourceBuilder
    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: list[Mapping[str, tuple[Entry, ...]] | BuildError] = field(default_factory=list)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files of the tools."""
        return tuple(source for wheel in self.tools for source in wheel.sources)

    def recipe(self) -> Mapping[str, Json]:
        """Name the tools, what they are told, and the root and the interpreter that they run with."""
        order = orders.order(self.tool, self.app, [self._expected(wheel) for wheel in self.wheels])
        return {
            "kind": "installation",
            "format": FORMAT,
            "release": imagebuilder.__version__,
            "root": self._runnable().key.value,
            "interpreter": [self.builder.interpreter.version, self.builder.interpreter.executable],
            "tools": sorted(source.digest.value for source in self.sources),
            "words": list(order.words),
            "files": {path: Digest.of(text.encode()).value for path, text in order.files.items()},
            "wheels": sorted(
                source.digest.value for wheel in self.wheels if not wheel.built for source in wheel.sources
            ),
            "recipes": [self.builder.recipe(wheel) for wheel in self.wheels if wheel.built],
        }

    def install(self, files: Files) -> Mapping[str, tuple[Entry, ...]]:
        """Install everything, if that was not done before; return the files of each project.

        Raises what `command.run` and `SourceBuilder.build` raise, BuildError IB903 if the tool fails, IB904 if it
        installs other packages than are pinned, IntegrityError IB902 if what it leaves cannot be used.
        """
        with self._lock:
            if not self._done:
                self._done.append(self._attempt(files))
        if isinstance(self._done[0], BuildError):  # every layer asks; what failed is not tried again
            raise self._done[0]
        return self._done[0]

    def _attempt(self, files: Files) -> Mapping[str, tuple[Entry, ...]] | BuildError:
        try:
            with self.builder.progress.step("install") as step:
                installed = self._install(files)
                step.finish(f"{len(installed)} packages by {self.tool}")
        except BuildError as error:
            return error
        except OSError as error:
            return storage_error(error, self.folder)
        return {each.name: each.entries for each in installed}

    def _install(self, files: Files) -> tuple[Installed, ...]:
        interpreter = self.builder.interpreter
        root = self._runnable().root(self.builder.cache, self.builder.fetch)
        made = self.folder
        made.mkdir()
        offered = self._offer(files, made / "files")
        order = orders.order(self.tool, self.app, offered)
        tools = environment.entries(self.tools, interpreter, files, prefix=orders.TOOLS.strip("/"))
        unpack(tools, made / "root", time_s=EPOCH)
        own = environment.own_entries(interpreter, prefix=orders.ENVIRONMENT.strip("/"))
        unpack(own, made / "installed", time_s=EPOCH)
        project = [entry.file(path, text.encode()) for path, text in order.files.items()]
        unpack(project, made / "project", time_s=EPOCH)
        unpack(_plugin(), made / "plugin", time_s=EPOCH)
        unpack([entry.directory("temporary")], made / "work", time_s=EPOCH)
        installed = made / "installed" / orders.ENVIRONMENT.strip("/")
        sandbox = Sandbox(
            root,
            writable={orders.ENVIRONMENT: installed, orders.PROJECT: made / "project", orders.WORK: made / "work"},
            readable={
                orders.TOOLS: made / "root" / orders.TOOLS.strip("/"),
                orders.FILES: made / "files",
                orders.PLUGIN: made / "plugin",
            },
        )
        self._run(sandbox, order)
        shutil.rmtree(made / "work")
        prefix = f"{orders.ENVIRONMENT.strip('/')}/"
        found = read_installed(
            installed,
            environment.scheme(interpreter),
            at=orders.ENVIRONMENT,
            own=frozenset(each.path.removeprefix(prefix) for each in own),
        )
        self._compare(found)
        return found

    def _run(self, sandbox: Sandbox, order: Order) -> None:
        env = {
            "PATH": f"{orders.ENVIRONMENT}/bin:{orders.TOOLS}/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": f"{orders.WORK}/temporary",
            **order.env,
        }
        try:
            command.run(sandbox, order.words, env=env, cwd=orders.PROJECT)
        except BuildError as error:
            if error.code != "IB862":
                raise
            raise BuildError(
                f"{self.tool} cannot install what is locked: {error.message}",
                details=error.details,
                hint='its last lines say why; engine = "direct" installs without it',
                code="IB903",
            ) from error

    def _expected(self, wheel: PinnedWheel) -> Offered:
        """Describe a wheel before it is there."""
        if wheel.built:
            return Offered(wheel.name, wheel.version, "", "", built=True)
        (source,) = wheel.sources
        return Offered(wheel.name, wheel.version, posixpath.basename(source.name), source.digest.hex)

    def _offer(self, files: Files, folder: Path) -> list[Offered]:
        """Put all wheels into a folder under their names, with the pages of an index (PEP 503) beside them."""
        folder.mkdir()
        folder.chmod(0o755)
        offered = []
        for wheel in self.wheels:
            path = self.builder.build(wheel, files) if wheel.built else files[wheel.sources[0].digest]
            each = self._expected(wheel)
            if wheel.built:
                # A built wheel is a blob, whose name is its hash.
                each = Offered(each.name, each.version, self._file_name(wheel, path), path.name, built=True)
            (folder / each.file).hardlink_to(path)
            offered.append(each)
        pages = [
            entry.file(
                f"{each.name}/index.html", f'<a href="/{each.file}#sha256={each.sha256}">{each.file}</a>\n'.encode()
            )
            for each in offered
        ]
        unpack(pages, folder / "simple", time_s=EPOCH)
        return offered

    def _file_name(self, wheel: PinnedWheel, path: Path) -> str:
        built = read_wheel(path).tags
        tags = [str(tag) for tag in selection.tags(self.builder.interpreter, self.builder.target)]
        tag = next(tag for tag in tags if tag in built)
        return f"{wheel.name.replace('-', '_')}-{wheel.version}-{tag}.whl"

    def _runnable(self) -> Runnable:
        return runnable(self.builder.base, self.builder.interpreter, what=f"install with {self.tool}")

    def _compare(self, found: Sequence[Installed]) -> None:
        """Compare what was installed with the pins: two programs have read one lock."""
        from packaging.version import Version  # only who installs compares versions

        pinned = {wheel.name: Version(wheel.version) for wheel in self.wheels}
        installed = {each.name: Version(each.version) for each in found}
        if pinned == installed:
            return
        both = sorted({*pinned, *installed})
        raise BuildError(
            f"{self.tool} installs other packages than imagebuilder.lock pins",
            details=tuple(
                f"{name}: {self.tool} {installed.get(name, 'none')}, pinned {pinned.get(name, 'none')}"
                for name in both
                if pinned.get(name) != installed.get(name)
            )[:20],
            hint="lock again with both; if they still differ, one of the two reads the lock wrongly: report it",
            code="IB904",
        )


def _plugin() -> list[Entry]:
    about = "imagebuilder_index-1.dist-info"
    return [
        entry.file("imagebuilder_index.py", _PLUGIN.read_bytes()),
        entry.file(f"{about}/METADATA", _METADATA.encode()),
        entry.file(f"{about}/entry_points.txt", _ENTRY_POINTS.encode()),
    ]
