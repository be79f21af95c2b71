"""Base images for tests, in a registry: layers as other tools write them, configs and manifests as Docker does."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.registry import INDEX, MANIFEST, Registry, digest_of

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ENV = ("PATH=/usr/local/bin:/usr/bin:/bin", "GPG_KEY=7169", "PYTHON_VERSION=3.13.5")
LIBC = "usr/lib/x86_64-linux-gnu/libc.so.6"


@dataclass(frozen=True)
class Link:
    """A symbolic link, or a hard link to a path of the same layer."""

    target: str
    hard: bool = False


@dataclass(frozen=True)
class Special:
    """A device or a pipe: a type flag of tar."""

    type: bytes = tarfile.CHRTYPE


Content = bytes | Link | Special | None


def program(version: str) -> bytes:
    """Return what an interpreter is for who looks for its version: the text among others like it."""
    return b"\x7fELF\2\1\1\0sqlite 3.46.1\0Python \0" + version.encode() + b"\0%.80s (%.80s) %.80s\0"


def libc(version: str = "2.41") -> bytes:
    """Return what a C library is for who looks for its version."""
    text = f"GNU C Library (Debian GLIBC {version}-12) stable release version {version}.\n"
    return b"\x7fELF\2\1\1\0" + text.encode()


def tar(files: Mapping[str, Content], *, mode: int = 0o755) -> bytes:
    """Write a tar: bytes are files, None folders; in this order, and nothing besides."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.mode = mode
            match content:
                case bytes():
                    member.size = len(content)
                case Link():
                    member.type = tarfile.LNKTYPE if content.hard else tarfile.SYMTYPE
                    member.linkname = content.target
                case Special():
                    member.type = content.type
                case None:
                    member.type = tarfile.DIRTYPE
            writer.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return archive.getvalue()


DEBIAN = {
    "bin": Link("usr/bin"),
    "lib": Link("usr/lib"),
    "etc/os-release": Link("../usr/lib/os-release"),
    "usr/lib/os-release": b'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n',
    LIBC: libc(),
    "usr/bin/dash": b"\x7fELF",
    "usr/bin/sh": Link("dash"),
    "usr/bin/env": b"\x7fELF",
}
CERTIFICATES = {"etc/ssl/certs/ca-certificates.crt": b"-----BEGIN CERTIFICATE-----\n"}
PYTHON = {
    "usr/local/bin/python3.13": program("3.13.5"),
    "usr/local/bin/python3": Link("python3.13"),
    "usr/local/bin/python": Link("python3"),
}
SLIM = (tar(DEBIAN), tar(CERTIFICATES), tar(PYTHON))


def put(
    registry: Registry,
    name: str,
    *layers: bytes,
    tag: str = "latest",
    docker: bool = False,
    architecture: str = "amd64",
    os: str = "linux",
    layer_type: str = "",
    env: Sequence[str] = ENV,
    further: Mapping[str, object] | None = None,
    run: Mapping[str, object] | None = None,
) -> str:
    """Put an image of these tars into a registry, gzipped, and return the digest of its manifest.

    `further` are fields of its config, `run` those of the part that says how it runs.
    """
    stored = [gzip.compress(layer, mtime=0) for layer in layers]
    config = {
        "architecture": architecture,
        "os": os,
        "created": "2026-02-03T04:05:06.789Z",
        "config": {"Env": env, "Cmd": ["python3"], "Labels": {"maintainer": "somebody"}, **(run or {})},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "history": [
            *({"created": "2026-02-03T04:05:06Z", "created_by": f"RUN step {n}"} for n, _ in enumerate(layers)),
            {"created": "2026-02-03T04:05:06Z", "created_by": 'CMD ["python3"]', "empty_layer": True},
        ],
        **(further or {}),
    }
    layer_type = layer_type or (DOCKER_LAYER if docker else LAYER)
    blobs = [
        (DOCKER_CONFIG if docker else CONFIG, json.dumps(config, indent=3).encode()),
        *((layer_type, blob) for blob in stored),
    ]
    described = [
        {"mediaType": kind, "size": len(blob), "digest": registry.put_blob(name, blob)} for kind, blob in blobs
    ]
    media_type = DOCKER_MANIFEST if docker else MANIFEST
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": described[0], "layers": described[1:]}
    return registry.put_manifest(name, json.dumps(manifest, indent=3).encode(), tag, media_type=media_type)


def put_index(registry: Registry, name: str, *images: tuple[str, Mapping[str, str]], tag: str = "latest") -> str:
    """Put an index of images that the repository has, each with its platform, and return its digest."""
    manifests = registry.repository(name).manifests
    listed = [
        {
            "mediaType": manifests[digest][0],
            "digest": digest,
            "size": len(manifests[digest][1]),
            "platform": dict(platform),
        }
        for digest, platform in images
    ]
    docker = any(each["mediaType"] == DOCKER_MANIFEST for each in listed)
    media_type = DOCKER_LIST if docker else INDEX
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": listed}
    return registry.put_manifest(name, json.dumps(index).encode(), tag, media_type=media_type)
