"""Bytecode: modules compiled by the interpreter that will run them (PEP 552, unchecked hashes)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

from buildpacks.api import Files, Interpreter, LayerSpec, Source
from imagebuilder.base.pins import Base
from imagebuilder.cache import Cache
from imagebuilder.inside import compile_modules
from imagebuilder.inside.runnable import Runnable, runnable
from imagebuilder.sandbox import command
from imagebuilder.sandbox.box import EPOCH, Sandbox
from layers import bytecode, entry, tree
from layers.canonical import Json
from layers.entry import Entry, Kind
from layers.errors import BuildError
from layers.unpack import unpack
from layers.values import dataclass, replace

_PROGRAM, _SOURCES, _RESULT = "/build/program", "/build/sources", "/build/result"
_serial = count()


@dataclass(frozen=True, slots=True)
class BytecodeCompiler:
    """Compiles for an image; implements buildpacks.services.Compiler.

    `fetch` brings packages of the base. `scratch` is a folder that lasts until the layers are written.
    """

    image: Runnable
    cache: Cache
    fetch: Callable[[Sequence[Source]], Files]
    scratch: Path

    def recipe(self) -> Mapping[str, Json]:
        """Name the interpreter."""
        return {"interpreter": self.image.interpreter_key.value}

    def standard_library(self) -> LayerSpec:
        """Describe the bytecode of the interpreter's own modules, and of what packages of the base add to them."""
        place = _library(self.image.interpreter)
        return LayerSpec(
            "bytecode python",
            {"layer": "bytecode", "modules": place, "root": self.image.key.value},
            lambda _files: self._run(place, at=place),
            pinned=True,
        )

    def modules(self, entries: Iterable[Entry], folder: str) -> tuple[Entry, ...]:
        """Return the bytecode of those entries that are modules below a folder in which modules are looked for."""
        found = [replace(one, path=one.path[len(folder) + 1 :]) for one in entries if _is_module(one, folder)]
        if not found:
            return ()
        sources = self.scratch / f"modules-{next(_serial)}"
        unpack(found, sources, time_s=EPOCH)
        return self._run(_SOURCES, at=f"/{folder}", readable={_SOURCES: sources})

    def _run(self, sources: str, *, at: str, readable: Mapping[str, Path] | None = None) -> tuple[Entry, ...]:
        """Compile a folder of the sandbox that is at another place in the image."""
        made = self.scratch / f"bytecode-{next(_serial)}"
        program = Path(compile_modules.__file__)
        unpack([entry.file(program.name, program.read_bytes())], made.with_suffix(".program"), time_s=EPOCH)
        made.mkdir()
        sandbox = Sandbox(
            self.image.root(self.cache, self.fetch),
            writable={_RESULT: made},
            readable={_PROGRAM: made.with_suffix(".program"), **(readable or {})},
        )
        # Not -I: it would have the hashes of strings vary, by which Python before 3.11 sorts the sets in bytecode.
        words = [self.image.interpreter.executable, "-B", "-S", "-s", "-W", "ignore", f"{_PROGRAM}/{program.name}"]
        try:
            command.run(sandbox, [*words, sources, at, _RESULT])
        except BuildError as error:
            raise _failed(at, error) from error
        series = self.image.interpreter.series
        # Named as their sources: what is called bytecode is left out of every tree.
        found = tree.entries(made, at=at.strip("/"), ignored=lambda _path: False)
        return tuple(replace(one, path=bytecode.place(one.path, series)) for one in found if one.kind is Kind.FILE)


def compiler(
    base: Base,
    interpreter: Interpreter | None,
    *,
    cache: Cache,
    fetch: Callable[[Sequence[Source]], Files],
    scratch: Path,
) -> BytecodeCompiler:
    """Return what compiles for an image; raises what `runnable` raises."""
    return BytecodeCompiler(runnable(base, interpreter, what="make bytecode"), cache, fetch, scratch)


def _is_module(found: Entry, folder: str) -> bool:
    return found.kind is Kind.FILE and bytecode.is_module(found.path, folder)


def _library(interpreter: Interpreter) -> str:
    """Return where the standard library is: beside the folder of the program (`sys.prefix`)."""
    prefix = interpreter.executable.rpartition("/bin/")[0]
    return f"{prefix}/lib/python{interpreter.series}"


def _failed(place: str, error: BuildError) -> BuildError:
    """Say that a compiler did not come to its end; that there can be no sandbox is said by itself."""
    if error.code != "IB862":
        return error
    return BuildError(
        f"cannot make bytecode of the modules in {place}: {error.message}",
        details=error.details,
        hint='its last line names the module; without `bytecode = "unchecked-hash"` nothing is compiled',
        code="IB933",
    )
