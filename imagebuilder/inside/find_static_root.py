"""Finds out where a Django project wants its static files. Runs in the sandbox, by the image's own Python.

    python find_static_root.py ANSWER manage.py

Which settings count is known to the project's own program, so that is run, with the command that does least.
"""

import json
import os
import runpy
import sys


def main() -> None:
    """Write STATIC_ROOT into the file ANSWER, as JSON; null if it is not set."""
    answer, program = sys.argv[1:]
    sys.argv = [program, "version"]
    sys.path[0] = os.path.dirname(os.path.abspath(program))  # noqa: PTH100, PTH120 as Python itself does
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise
    settings = __import__("django.conf", fromlist=["settings"]).settings
    with open(answer, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(str(settings.STATIC_ROOT) if settings.STATIC_ROOT else None, file)  # noqa: TID251 read by us


if __name__ == "__main__":
    main()
