"""A builder that is run in the place of ours: it writes the source into a one-layer image in a moment.

    python careless_builder.py [FAULT,…] build DIR --output oci:DIR …

Without faults it is as careful as ours. Each fault lets one thing of the machine into the image.
"""

import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from itertools import pairwise
from pathlib import Path

FAULTS = ("fails", "listing", "mode", "mtime", "owner", "path", "refuses", "store", "temp", "workers")


def main(faults: str, command: str, source: str, *flags: str) -> int:
    """Build; `fails` does so under a strict umask, `refuses` always and in our words."""
    assert command == "build"
    given = dict(pairwise(flags))
    wanted = set(faults.split(","))
    if "refuses" in wanted:
        told = {
            "event": "error",
            "code": "IB601",
            "message": "cannot use x: the disk is full",
            "details": [],
            "hint": "free",
        }
        sys.stderr.write(json.dumps(told) + "\n")
        return 7
    if "fails" in wanted and os.umask(0o022) == 0o077:
        sys.stderr.write("warming up\nno rights to that\n")
        return 4
    said = {
        "path": str(Path.cwd()),
        "store": given["--cache-dir"],
        "temp": os.environ.get("TMPDIR", ""),
        "workers": given["--workers"],
    }
    extra = {f"{fault}.txt": text for fault, text in said.items() if fault in wanted}
    layer = _layer(Path(source), wanted, extra)
    _write(Path(given["--output"].removeprefix("oci:")), layer)
    return 0


def _layer(source: Path, wanted: set[str], extra: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in extra.items():
            member = tarfile.TarInfo(f"workspace/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        for path in _listed(source, sort="listing" not in wanted):
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or path.name == "imagebuilder.lock":
                continue
            member = tarfile.TarInfo(f"workspace/{path.relative_to(source)}")
            member.size = status.st_size
            member.mode = stat.S_IMODE(status.st_mode) if "mode" in wanted else 0o644
            member.mtime = int(status.st_mtime) if "mtime" in wanted else 0
            member.uid = member.gid = os.getuid() if "owner" in wanted else 0
            tar.addfile(member, io.BytesIO(path.read_bytes()))
    return buffer.getvalue()


def _listed(folder: Path, *, sort: bool) -> list[Path]:
    found = sorted(folder.iterdir()) if sort else list(folder.iterdir())
    return [path for each in found for path in ([each] if not each.is_dir() else _listed(each, sort=sort))]


def _write(layout: Path, layer: bytes) -> None:
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def stored(content: bytes, media_type: str) -> dict[str, object]:
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        return {
            "mediaType": f"application/vnd.oci.image.{media_type}",
            "digest": f"sha256:{name}",
            "size": len(content),
        }

    described = stored(layer, "layer.v1.tar")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [described["digest"]]},
        "history": [{"created_by": "files"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": stored(json.dumps(config).encode(), "config.v1+json"),
        "layers": [described],
    }
    named = stored(json.dumps(manifest).encode(), "manifest.v1+json")
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
