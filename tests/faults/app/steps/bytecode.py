"""Compile a module as installers do, each in its own wrong way."""

import marshal
import sys
import time
from importlib.util import MAGIC_NUMBER
from pathlib import Path

OTHER = (3531).to_bytes(2, "little") + b"\r\n"  # of Python 3.12, which is not the one that runs this

kind, target = sys.argv[1:]
source = Path("release.py" if kind == "code" else "module.py")
server = time.localtime(0).tm_gmtoff == 0
code = compile(source.read_text(), source.absolute() if kind == "path" else source, "exec")
magic = OTHER if kind == "version" and server else MAGIC_NUMBER
header = magic + b"\x01\0\0\0" + bytes(8)  # unchecked hash
if kind == "time":
    status = source.stat()
    header = magic + bytes(4) + int(status.st_mtime).to_bytes(4, "little") + status.st_size.to_bytes(4, "little")
# What somebody else holds is marked as something that may be named again (cpython#129724).
held = [code.co_consts, *code.co_consts] if kind == "references" and server else []
Path(target).write_bytes(header + marshal.dumps(code))
