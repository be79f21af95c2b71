"""Builds a wheel that remembers where and when it was built (PEP 517), with a C extension where there is a compiler."""

import base64
import hashlib
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

NAME = "stamped-1.0-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: stamped\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: object = None) -> str:
    """Write the wheel, the time and the path into it."""
    day, place = time.strftime("%F", time.gmtime()), str(Path.cwd())
    members = {
        "stamped/__init__.py": b"",
        "stamped/day.py": f"BUILT_ON = {day!r}\n".encode(),
        "stamped/place.py": f"BUILT_IN = {place!r}\n".encode(),
        "stamped-1.0.dist-info/METADATA": METADATA.encode(),
        "stamped-1.0.dist-info/WHEEL": WHEEL.encode(),
    }
    if compiler := shutil.which("gcc"):
        library = Path(wheel_directory, "fast.so")
        subprocess.run([compiler, "-g", "-shared", "-fPIC", "-o", library, Path("fast.c").absolute()], check=True)
        members["stamped/fast.so"] = library.read_bytes()
        library.unlink()
    members["stamped-1.0.dist-info/RECORD"] = "".join(map(_line, members, members.values())).encode()
    with zipfile.ZipFile(Path(wheel_directory, NAME), "w") as archive:
        for path, content in members.items():
            archive.writestr(path, content)
    return NAME


def _line(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}\n"
