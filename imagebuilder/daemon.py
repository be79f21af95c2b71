"""Loading into container engines: the archive is streamed to them, and what they made of it is checked."""

import subprocess  # noqa: TID251 podman is loaded into by its own command; nothing else is run here
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from imagebuilder import archive, export
from imagebuilder.image import Image
from imagebuilder.reference import Reference
from layers.blobs import BlobStore
from layers.descriptor import LAYER_ZSTD
from layers.errors import IntegrityError, RefusedError

# Docker 20.10 takes zstd for a damaged tar, 26.1 reads it; nobody looked between them.
_READS_ZSTD = 26
_CONNECT_TIMEOUT_S = 20
# A large image takes minutes to unpack on a slow disk, and the engine says nothing meanwhile.
_LOAD_TIMEOUT_S = 1800


def load_docker(image: Image, store: BlobStore, names: Sequence[Reference], *, environment: Mapping[str, str]) -> None:
    """Load an image into the Docker engine of DOCKER_HOST, of the current context, or the local one.

    An engine that cannot read the image's compression gets its layers uncompressed: its config digest is the same.
    Raises RefusedError IB660 if there is no engine, IB661 if it refuses, IntegrityError IB662 if it then has another
    image under a name.
    """
    import docker  # takes 90 ms, and few builds load
    import docker.errors
    import requests

    try:
        client = docker.from_env(environment=dict(environment), timeout=_CONNECT_TIMEOUT_S)
        version = str(client.version()["Version"])
    except (docker.errors.DockerException, requests.RequestException, LookupError) as error:
        raise _no_engine("Docker", error, "start it, or set DOCKER_HOST to where it is") from error
    try:
        client.api.timeout = _LOAD_TIMEOUT_S
        chunks = archive.archive_chunks(_readable(image, store, version), store, names=names)
        client.images.load(chunks)  # type: ignore[arg-type]  # the stubs want bytes; requests sends an iterator as it comes
        loaded = {name: str(client.images.get(name.familiar).id) for name in names}
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise _refused("Docker", str(error)) from error
    finally:
        client.close()
    _check(image, loaded)


def load_podman(image: Image, store: BlobStore, names: Sequence[Reference], *, environment: Mapping[str, str]) -> None:
    """Load an image with the `podman` command. Raises as `load_docker` does."""
    _run(["podman", "load"], environment, archive.archive_chunks(image, store, names=names))
    inspect = ["podman", "image", "inspect", "--format", "{{.Id}}"]
    loaded = {name: f"sha256:{_run([*inspect, str(name)], environment).strip()}" for name in names}
    _check(image, loaded)


def _readable(image: Image, store: BlobStore, version: str) -> Image:
    """Return the image with layers an engine of this version can read."""
    major = version.partition(".")[0]
    has_zstd = any(layer.descriptor.media_type == LAYER_ZSTD for layer in image.layers)
    if has_zstd and not (major.isdecimal() and int(major) >= _READS_ZSTD):
        return export.uncompressed(image, store)
    return image


def _run(command: list[str], environment: Mapping[str, str], chunks: Iterable[bytes] = ()) -> str:
    """Run podman with `chunks` as its input and return what it prints."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment))
    except OSError as error:
        raise _no_engine("podman", error, "install it, or load the image another way") from error
    with process:
        if process.stdin:
            with suppress(BrokenPipeError):  # it ended without reading everything: its own words are the better error
                process.stdin.writelines(chunks)
        output, errors = process.communicate()
    if process.returncode:
        raise _refused("podman", errors.decode(errors="replace"))
    return output.decode(errors="replace")


def _check(image: Image, loaded: Mapping[Reference, str]) -> None:
    # An engine that keeps images in containerd names them by their manifest.
    expected = {image.config.digest.value, image.manifest.digest.value}
    for name, found in loaded.items():
        if found not in expected:
            raise IntegrityError(
                f"the engine has another image as {name}",
                details=(f"expected {image.config.digest}", f"found    {found}"),
                hint="something else loads or tags images of that name; load it again, or choose another name",
                code="IB662",
            )


def _no_engine(engine: str, error: Exception, hint: str) -> RefusedError:
    return RefusedError(f"cannot reach {engine}: {_last_line(str(error))}", hint=hint, code="IB660")


def _refused(engine: str, said: str) -> RefusedError:
    return RefusedError(
        f"{engine} did not load the image: {_last_line(said)}",
        hint="see the engine's own log; a full disk and a missing permission are the usual causes",
        code="IB661",
    )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it gave no reason"])[-1][:300]
