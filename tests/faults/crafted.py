"""Pairs of images that differ in one thing which no build step could bring about, or which needs other inputs.

Written by tarfile, gzip and json alone: nothing of what makes images here has a part in them.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_TYPES = {
    "manifest": DOCKER,
    "config": "application/vnd.docker.container.image.v1+json",
    "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
OCI_TYPES = {
    "manifest": f"{OCI}manifest.v1+json",
    "config": f"{OCI}config.v1+json",
    "layer": f"{OCI}layer.v1.tar+gzip",
}
INDEX = f"{OCI}index.v1+json"


@dataclass(frozen=True)
class Member:
    """A member of a layer; `header` sets fields of its tarfile.TarInfo."""

    path: str
    content: bytes = b""
    header: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sketch:
    """An image to be written. `attested` puts an attestation beside it, `also` images of further architectures."""

    layers: Sequence[Sequence[Member]]
    architecture: str = "amd64"
    config: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=lambda: OCI_TYPES)
    attested: bool = False
    also: Sequence[str] = ()

    def write(self, folder: Path) -> str:
        """Write it as a layout and return how the command line names it."""
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        root = self._image(folder)
        if self.attested or self.also:
            others = [replace(self, architecture=each)._image(folder) for each in self.also]
            children = [root, *others, *([self._attestation(folder, root)] if self.attested else [])]
            root = write_json(folder, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
        return f"oci:{folder}"

    def _image(self, folder: Path) -> dict[str, Any]:
        tars = [_tar(members) for members in self.layers]
        config = {
            "architecture": self.architecture,
            "os": "linux",
            "config": {"Labels": dict(self.labels)},
            "rootfs": {"type": "layers", "diff_ids": [_digest(tar) for tar in tars]},
            **self.config,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": self.types["manifest"],
            "config": write_json(folder, self.types["config"], config),
            "layers": [blob(folder, self.types["layer"], gzip.compress(tar, mtime=0)) for tar in tars],
        }
        platform = {"architecture": self.architecture, "os": "linux"}
        return {**write_json(folder, self.types["manifest"], manifest), "platform": platform}

    def _attestation(self, folder: Path, image: Mapping[str, Any]) -> dict[str, Any]:
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_TYPES["manifest"],
            "config": write_json(folder, OCI_TYPES["config"], {}),
            "layers": [
                write_json(folder, "application/vnd.in-toto+json", {"predicateType": "https://slsa.dev/provenance"})
            ],
        }
        about = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image["digest"],
        }
        described = write_json(folder, OCI_TYPES["manifest"], manifest)
        return {**described, "annotations": about, "platform": {"architecture": "unknown", "os": "unknown"}}


def _tar(members: Sequence[Member]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            header = tarfile.TarInfo(member.path)
            header.size = len(member.content)
            for name, value in member.header.items():
                setattr(header, name, value)
            archive.addfile(header, io.BytesIO(member.content))
    return out.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def blob(folder: Path, media_type: str, content: bytes) -> dict[str, Any]:
    """Write a blob into a layout and describe it."""
    digest = _digest(content)
    (folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def write_json(folder: Path, media_type: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document into a layout and describe it."""
    return blob(folder, media_type, json.dumps(document).encode())


@dataclass(frozen=True)
class Pair:
    """Two images, and what tells them apart: a cause, where it shows, and the cause that it follows from."""

    cause: str
    path: str
    left: Sketch
    right: Sketch
    follows_from: str = ""


def _files(path: str, left: bytes, right: bytes) -> tuple[Sketch, Sketch]:
    return of(Member(path, left)), of(Member(path, right))


def of(*members: Member) -> Sketch:
    """Sketch an image of a tiny base and one layer."""
    return Sketch([[Member("etc/os-release", b"ID=tests\n")], members])


def _device(minor: int) -> Sketch:
    return of(Member("dev/random", header={"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": minor}))


def _changed(sketch: Sketch, **fields: Any) -> tuple[Sketch, Sketch]:
    return sketch, replace(sketch, **fields)


def _package(version: str) -> Sketch:
    folder = f"click-{version}.dist-info"
    record = "".join(f"{path},,\n" for path in ("click.py", f"{folder}/METADATA", f"{folder}/RECORD"))
    metadata = f"Metadata-Version: 2.1\nName: click\nVersion: {version}\n".encode()
    return of(
        Member(f"srv/site-packages/{folder}/METADATA", metadata),
        Member(f"srv/site-packages/{folder}/RECORD", record.encode()),
        Member("srv/site-packages/click.py", f"version = {version!r}\n".encode()),
    )


def _dpkg(version: str) -> Sketch:
    status = f"Package: libpq5\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
    return of(
        Member("usr/lib/libpq.so.5", f"libpq {version}".encode()),
        Member("var/lib/dpkg/info/libpq5.list", b"/usr/lib/libpq.so.5\n"),
        Member("var/lib/dpkg/status", status.encode()),
    )


def _python(version: str) -> Sketch:
    names = ("os", "re", "json/__init__")
    return of(*(Member(f"usr/lib/python{version}/{name}.py", f"# {version}\n".encode()) for name in names))


def _based(release: str) -> Sketch:
    names = ("etc/os-release", "etc/debian_version", "usr/bin/env")
    base = [Member(name, f"{name} {release}".encode()) for name in names]
    label = {"org.opencontainers.image.base.digest": _digest(release.encode())}
    return Sketch([base, [Member("srv/app.py", b"")]], labels=label)


_ONE = Member("srv/one.py", b"one = 1\n")
_TWO = Member("srv/two.py", b"two = 2\n")
_PLAIN = of(_ONE, _TWO)
_HISTORIES = [{"history": [{"created_by": "debian"}, {"created_by": f"{verb} . /srv"}]} for verb in ("COPY", "ADD")]
_SHADOW = [b"app:!:%d:0:99999:7:::\n" % day for day in (20400, 20401)]
_RECORDS = [b"shop.py,,\nother.py,,\n", b"shop.py,,\n"]
_CODE = [b"def run():\n    return %d\n" % number for number in (1, 2)]
_NOISE = [hashlib.sha512(seed).digest() * 3 for seed in (b"left", b"right")]

PAIRS = (
    Pair("device", "dev/random", _device(8), _device(9)),
    Pair("twice", "srv/one.py", of(_ONE), of(_ONE, _ONE)),
    Pair("cache-file", "var/cache/ldconfig/aux-cache", *_files("var/cache/ldconfig/aux-cache", *_NOISE)),
    Pair("account-date", "etc/shadow", *_files("etc/shadow", *_SHADOW)),
    Pair("record", "srv/shop-1.0.dist-info/RECORD", *_files("srv/shop-1.0.dist-info/RECORD", *_RECORDS)),
    Pair("unknown", "srv/blob", *_files("srv/blob", *_NOISE)),
    Pair("source", "srv/app.py", *_files("srv/app.py", *_CODE)),
    Pair("python-package", "srv/site-packages/click-8.2.0.dist-info", _package("8.2.0"), _package("8.3.0")),
    Pair("os-package", "var/lib/dpkg/status", _dpkg("17.1-1"), _dpkg("17.2-1")),
    Pair("interpreter", "usr/lib/python3.12", _python("3.12"), _python("3.13")),
    Pair("base", "", _based("13.1"), _based("13.2")),
    Pair("platform", "linux/arm64", *_changed(replace(_PLAIN, also=("arm64", "riscv64")), also=("riscv64",))),
    Pair("attestation", "attestation of linux/amd64", *_changed(replace(_PLAIN, also=("arm64",)), attested=True)),
    Pair("media-type", "mediaType", *_changed(_PLAIN, types=DOCKER_TYPES)),
    Pair("container", "container", *_changed(_PLAIN, config={"container": "b73cb290e03e"})),
    Pair("history", "history[1].created_by", *(replace(_PLAIN, config=config) for config in _HISTORIES)),
    Pair("layering", "", _PLAIN, Sketch([_PLAIN.layers[0], [_ONE], [_TWO]])),
    Pair("derived", "rootfs.diff_ids[1]", *_files("srv/app.py", *_CODE), "source"),
)  # fmt: skip
