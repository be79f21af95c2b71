"""The examples, pushed to real registries: whoever pulls them sees the same digest, and they run."""

import shutil
import subprocess
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from tests import containers, registries
from tests.containers import ask, finished, imagebuilder
from tests.registries import Registries

pytestmark = [pytest.mark.network, pytest.mark.docker, pytest.mark.tools]

SERVERS = {"flask": "Hello from a reproducible image!", "django": "Moby-Dick"}
PROGRAMS = {"pandas": "Bergen", "script": "python 3.13."}


@dataclass(frozen=True)
class Client:
    """What a user of a registry has: its address, and a login and an authority if it asks for them."""

    registry: str
    login: Path
    authority: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        trusted = {"SSL_CERT_FILE": str(self.authority)} if self.authority else {}
        return {"DOCKER_CONFIG": str(self.login), **trusted}

    @property
    def tls(self) -> list[str]:
        """The flags of skopeo and podman."""
        if self.authority is None:
            return ["--tls-verify=false"]
        return [f"--cert-dir={self.authority.parent}", f"--authfile={self.login}/config.json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module", params=["plain", "secure"])
def client(request: pytest.FixtureRequest, folder: Path, running_registries: Registries) -> Client:
    if request.param == "plain":
        return Client(running_registries.plain, folder / "nobody")
    login = registries.log_in(folder / "login", running_registries.secure)
    # skopeo and podman take every *.crt in a folder for an authority.
    authority = login / "ca.crt"
    authority.write_bytes(running_registries.authority.read_bytes())
    return Client(running_registries.secure, login, authority)


@pytest.mark.parametrize("example", [*SERVERS, *PROGRAMS])
def test_an_example_has_one_digest_wherever_it_is_pulled_to(
    example: str, client: Client, folder: Path, docker_environment: dict[str, str]
) -> None:
    name = f"{client.registry}/examples/{example}"
    app = copy(example, folder)
    pushed = build(app, "--tag", f"{name}:1", client=client)
    digest = pushed.removeprefix(f"{name}@")
    assert tool("skopeo", "inspect", *client.tls, "--format", "{{.Digest}}", f"docker://{name}:1") == digest
    assert podman_digest(f"{name}:1", client) == digest
    assert docker_digests(example, f"{name}:1", client, docker_environment) == [pushed]


def copy(example: str, folder: Path) -> Path:
    """Copy an example, without what was made beside it."""
    app = folder / example
    if not app.exists():
        shutil.copytree(containers.ROOT / "examples" / example, app, ignore=shutil.ignore_patterns("dist", "*.lock"))
    return app


def build(app: Path, *flags: str, client: Client) -> str:
    cache = app.parent / "cache"
    layout = app.parent / "layouts" / app.name
    built = imagebuilder("build", str(app), "--cache-dir", str(cache), "-o", f"oci:{layout}")
    assert built.returncode == 0, built.stderr
    extra = client.tls[1:] if client.authority else []
    t = [client.tls[0].replace("--", "--dest-"), *extra]
    subprocess.run(["skopeo", "copy", *t, f"oci:{layout}", f"docker://{flags[1]}"], check=True)
    return flags[1].rpartition(":")[0] + "@" + built.stdout.strip().rpartition("@")[2]


def runs(example: str, container: Container) -> bool:
    if example in SERVERS:
        return SERVERS[example] in ask(container, "http://127.0.0.1:8000/")
    return PROGRAMS[example] in finished(container)


def docker_digests(example: str, name: str, client: Client, environment: dict[str, str]) -> list[str]:
    """Pull with Docker, see it run, and return the names with digests that it knows the image by."""
    auth = {"username": registries.USER, "password": registries.PASSWORD} if client.authority else None
    with containers.running(environment) as engine:
        image = engine.client.images.pull(*name.rsplit(":", 1), auth_config=auth)
        assert runs(example, engine.run(name))
    with closing(docker.from_env(environment=environment)) as connection:
        connection.images.remove(image.id, force=True)  # the next registry has to give it again
    return list(image.attrs["RepoDigests"])


def podman_digest(name: str, client: Client) -> str:
    """Pull with podman and return what it takes for the digest of the manifest."""
    # Not tmp_path: podman takes no path of more than 50 bytes here.
    with tempfile.TemporaryDirectory() as place:
        podman = ("podman", "--root", f"{place}/root", "--runroot", f"{place}/run")
        tool(*podman, "pull", "--quiet", *client.tls, name)
        return tool(*podman, "image", "inspect", "--format", "{{.Digest}}", name)


def tool(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
