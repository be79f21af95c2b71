"""Compiles the modules of a folder. Runs in the sandbox, by the target's interpreter, which may be an old one.

    python compile_modules.py SOURCES PLACE RESULT

SOURCES will be found at PLACE in the image. RESULT is given the bytecode, of each module under its own path.

What is written down of a module depends on which strings the process knows already (marshal marks those that something
else refers to), so each is compiled by a process of its own, a copy of this one. Then it depends on nothing but the
module, its place and the interpreter: not on other modules, their order, or how many are compiled at once.
"""

# ruff: noqa: PTH103, PTH113, PTH118, PTH120 without pathlib a start takes half the time

import os
import py_compile
import sys
from collections.abc import Iterator
from importlib.machinery import FrozenImporter
from typing import NoReturn


def main() -> None:
    """Compile all modules of the folder that the command line names."""
    sources, place, result = sys.argv[1:]
    at_once = len(os.sched_getaffinity(0))
    running = 0
    # The list is whole before the first is compiled: all copies of this process are to be in the same state.
    for path in list(modules(sources)):
        if running == at_once:
            wait()
            running -= 1
        if os.fork() == 0:
            compile_one(os.path.join(sources, path), f"{place}/{path}", os.path.join(result, path))
        running += 1
    for _ in range(running):
        wait()


def modules(sources: str) -> Iterator[str]:
    """Yield the paths of what can be imported from a folder."""
    for folder, folders, names in os.walk(sources):  # noqa: TID251 they are sorted
        folders[:] = sorted(name for name in folders if "." not in name)
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), sources)
            stem, dot, ending = path.partition(".")
            if (dot, ending) == (".", "py") and os.path.isfile(os.path.join(sources, path)) and not is_frozen(stem):
                yield path


def is_frozen(stem: str) -> bool:
    """Say whether the interpreter has a module in itself, so that it never reads the file."""
    return FrozenImporter.find_spec(stem.removesuffix("/__init__").replace("/", ".")) is not None


def compile_one(source: str, place: str, target: str) -> NoReturn:
    """Compile a module and end; what is no Python of this version is left out, as by compileall."""
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(source, target, place, doraise=True, invalidation_mode=mode)
    except (py_compile.PyCompileError, ValueError):  # ValueError: marshal finds it nested too deeply
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 or this process would go on as if it were the first one
        os.write(2, f"cannot compile {place}: {error!r}\n".encode("utf-8", "backslashreplace"))
        os._exit(1)
    os._exit(0)


def wait() -> None:
    """Wait until one of the copies has ended."""
    _, status = os.wait()
    if status:
        sys.exit(f"a compiler ended with status {status}")


if __name__ == "__main__":
    main()
