"""Builds small real wheels: valid unless told otherwise, and the same bytes every time."""

import base64
import hashlib
import stat
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)


def build(
    folder: Path,
    name: str = "demo",
    version: str = "1.0",
    *,
    files: Mapping[str, bytes] | None = None,
    entry_points: str = "",
    executable: Collection[str] = (),
    requires: Collection[str] = (),
    tag: str = "py3-none-any",
    wheel_version: str = "1.0",
    record: str | None = None,
    metadata: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a wheel and return its path.

    `files` (default: one module) may replace METADATA and WHEEL; `metadata` are more files in dist-info that RECORD
    does not list; `record` replaces RECORD.
    """
    distribution = name.replace("-", "_")
    dist_info = f"{distribution}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    listed = {f"{distribution}.py": b"VALUE = 1\n"} if files is None else dict(files)
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}\n"
    listed.setdefault(f"{dist_info}/METADATA", about.encode())
    about = f"Wheel-Version: {wheel_version}\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"
    listed.setdefault(f"{dist_info}/WHEEL", about.encode())
    if entry_points:
        listed[f"{dist_info}/entry_points.txt"] = entry_points.encode()
    rows = "".join(row(path, content) for path, content in listed.items()) + f"{dist_info}/RECORD,,\n"
    contents = {
        **listed,
        **{f"{dist_info}/{path}": content for path, content in (metadata or {}).items()},
        f"{dist_info}/RECORD": (rows if record is None else record).encode(),
    }
    wheel = folder / f"{distribution}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            add(archive, path, content, mode=stat.S_IFREG | (0o755 if path in executable else 0o644))
    return wheel


def add(archive: zipfile.ZipFile, path: str, content: bytes, *, mode: int = stat.S_IFREG | 0o644) -> None:
    """Add a member with a fixed time and any mode."""
    member = zipfile.ZipInfo(path, _TIME)
    member.create_system = 3
    member.external_attr = mode << 16
    archive.writestr(member, content, zipfile.ZIP_DEFLATED)


def row(path: str, content: bytes, algorithm: str = "sha256") -> str:
    """Return a line of RECORD."""
    value = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).decode().rstrip("=")
    quoted = f'"{path}"' if "," in path else path
    return f"{quoted},{algorithm}={value},{len(content)}\n"
