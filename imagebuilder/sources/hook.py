"""Calls a hook of a build backend (PEP 517). Runs in the sandbox, by the target's interpreter, which may be an old one.

    python hook.py RESULT HOOK BACKEND [PATH …]

The paths are the places of the source in which the backend itself is looked for. What the hook returns is written into
the folder RESULT, where build_wheel also puts the wheel.
"""

import importlib
import json
import os
import sys

ANSWER = "answer.json"


def main() -> None:
    """Call the hook that the command line names."""
    result, hook, name, *paths = sys.argv[1:]
    sys.argv = sys.argv[:1]
    # The folder of this file is not what a backend looks for modules in.
    sys.path[:1] = [os.path.abspath(path) for path in paths]  # noqa: PTH100 of Python 3.9 too
    module, _, attributes = name.partition(":")
    backend = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        backend = getattr(backend, attribute)
    answer = backend.build_wheel(result) if hook == "build_wheel" else getattr(backend, hook, list)()
    with open(os.path.join(result, ANSWER), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
        json.dump(answer, file)  # noqa: TID251 what is read here is read by us


if __name__ == "__main__":
    main()
