"""Container engines: archives are streamed to them and what they made of it is checked; they save what they hold."""

import subprocess  # noqa: TID251 podman is loaded into and saves by its own command; nothing else is run here
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from imagebuilder import archive, export
from imagebuilder.image import Image
from imagebuilder.reference import Reference
from layers.blobs import BlobStore, storage_error
from layers.descriptor import LAYER_ZSTD
from layers.errors import IntegrityError, RefusedError

if TYPE_CHECKING:
    from docker import DockerClient

# Docker 20.10 takes zstd for a damaged tar, 26.1 reads it; nobody looked between them.
_READS_ZSTD = 26
_CONNECT_TIMEOUT_S = 20
# A large image takes minutes to unpack or to pack on a slow disk, and the engine says nothing meanwhile.
_ENGINE_TIMEOUT_S = 1800


def load_docker(image: Image, store: BlobStore, names: Sequence[Reference], *, environment: Mapping[str, str]) -> None:
    """Load an image into the Docker engine of DOCKER_HOST, of the current context, or the local one.

    An engine that cannot read the image's compression gets its layers uncompressed: its config digest is the same.
    Raises RefusedError IB660 if there is no engine, IB661 if it refuses, IntegrityError IB662 if it then has another
    image under a name.
    """
    with _docker(environment, lambda error: _refused("Docker", str(error))) as (client, version):
        chunks = archive.archive_chunks(_readable(image, store, version), store, names=names)
        client.images.load(chunks)  # type: ignore[arg-type]  # the stubs want bytes; requests sends an iterator as it comes
        loaded = {name: str(client.images.get(name.familiar).id) for name in names}
    _check(image, loaded)


def load_podman(image: Image, store: BlobStore, names: Sequence[Reference], *, environment: Mapping[str, str]) -> None:
    """Load an image with the `podman` command. Raises as `load_docker` does."""
    _run(["load"], environment, archive.archive_chunks(image, store, names=names))
    inspect = ["image", "inspect", "--format", "{{.Id}}"]
    loaded = {name: f"sha256:{_run([*inspect, str(name)], environment).strip()}" for name in names}
    _check(image, loaded)


def save_docker(name: str, path: Path, *, environment: Mapping[str, str]) -> None:
    """Write to a file what the Docker engine holds under a name or an id.

    Raises RefusedError IB660 if there is no engine, IB810 if it has no such image, IB811 if it does not give it.
    """

    def refused(error: Exception) -> RefusedError:
        from docker.errors import NotFound

        return _unknown("Docker", name) if isinstance(error, NotFound) else _not_saved("Docker", name, str(error))

    with _file(path) as file, _docker(environment, refused) as (client, _):
        for chunk in client.api.get_image(name):
            file.write(chunk)


def save_podman(name: str, path: Path, *, environment: Mapping[str, str]) -> None:
    """Write to a file what podman holds under a name or an id. Raises as `save_docker` does."""
    with _file(path) as file:
        _, errors, failed = _podman(["save", name], environment, output=file)
    if failed:
        raise _unknown("podman", name) if "not known" in errors else _not_saved("podman", name, errors)


@contextmanager
def _docker(
    environment: Mapping[str, str], refused: Callable[[Exception], RefusedError]
) -> Iterator[tuple["DockerClient", str]]:
    """Connect to the engine and yield its version, too; what it refuses in the block is told by `refused`."""
    import docker  # takes 90 ms, and few runs need an engine
    import docker.errors
    import requests

    try:
        client = docker.from_env(environment=dict(environment), timeout=_CONNECT_TIMEOUT_S)
        version = str(client.version()["Version"])
    except (docker.errors.DockerException, requests.RequestException, LookupError) as error:
        raise _no_engine("Docker", error, "start it, or set DOCKER_HOST to where it is") from error
    try:
        client.api.timeout = _ENGINE_TIMEOUT_S
        yield client, version
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise refused(error) from error
    finally:
        client.close()


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise storage_error(error, path) from error


def _readable(image: Image, store: BlobStore, version: str) -> Image:
    """Return the image with layers an engine of this version can read."""
    major = version.partition(".")[0]
    has_zstd = any(layer.descriptor.media_type == LAYER_ZSTD for layer in image.layers)
    if has_zstd and not (major.isdecimal() and int(major) >= _READS_ZSTD):
        return export.uncompressed(image, store)
    return image


def _run(arguments: list[str], environment: Mapping[str, str], chunks: Iterable[bytes] = ()) -> str:
    """Run podman with `chunks` as its input and return what it prints."""
    printed, errors, failed = _podman(arguments, environment, chunks)
    if failed:
        raise _refused("podman", errors)
    return printed


def _podman(
    arguments: list[str],
    environment: Mapping[str, str],
    chunks: Iterable[bytes] = (),
    *,
    output: BinaryIO | int = subprocess.PIPE,
) -> tuple[str, str, bool]:
    """Run podman; return what it prints, what it says of errors, and whether it failed."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            ["podman", *arguments], stdin=pipe, stdout=output, stderr=pipe, env=dict(environment)
        )
    except OSError as error:
        raise _no_engine("podman", error, "install it, or bring the image another way") from error
    with process:
        if process.stdin:
            with suppress(BrokenPipeError):  # it ended without reading everything: its own words are the better error
                process.stdin.writelines(chunks)
        printed, errors = process.communicate()
    return (printed or b"").decode(errors="replace"), errors.decode(errors="replace"), process.returncode != 0


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


def _unknown(engine: str, name: str) -> RefusedError:
    return RefusedError(
        f"{engine} has no image {name!r}",
        hint=f"`{engine.lower()} images` lists what it has; without `{engine.lower()}:` it is asked of a registry",
        code="IB810",
    )


def _not_saved(engine: str, name: str, said: str) -> RefusedError:
    return RefusedError(
        f"{engine} did not give the image {name!r}: {_last_line(said)}",
        hint="see the engine's own log; a damaged store and a full disk are the usual causes",
        code="IB811",
    )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it gave no reason"])[-1][:300]
