"""Ask for what wheels bring beside their modules: a script, a manual, a header."""

import json
import subprocess
import sys
from pathlib import Path

found = subprocess.run(["jp.py", "a.b"], input=json.dumps({"a": {"b": 1}}), capture_output=True, text=True, check=True)
prefix = Path(sys.prefix)
files = [path for folder in ("include", "share") for path in (prefix / folder).rglob("*") if path.is_file()]
print(found.stdout.strip(), *sorted(path.name for path in files))
