"""Real registries on loopback: Debian's docker-registry in an image that imagebuilder makes, started by compose.

For development, `python -m tests.registries FOLDER` writes what the one with TLS needs; see docker-compose.yml.
"""

import base64
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests import certificates, containers
from tests.registries import tokens

COMPOSE_FILE = containers.ROOT / "docker-compose.yml"
IMAGE = "imagebuilder-tests/registry"
USER = "builder"
PASSWORD = "a password for tests"
# bcrypt, the only kind that docker-registry reads, of PASSWORD.
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuU9tuCsSfvqLb3ZvMivaBDcGya0m8DpG\n"


@dataclass(frozen=True)
class Registries:
    """Where the registries are, as `host:port`; `authority` signed the certificates of those after `read_only`.

    `token_host` gives the tokens for the registry `tokens`.
    """

    authority: Path
    plain: str
    read_only: str
    secure: str
    tokens: str
    token_host: str


def write(folder: Path) -> certificates.Certificates:
    """Write what the registry with TLS is started with: a certificate and a password file."""
    folder.chmod(0o755)  # in the container, another user reads it
    (folder / "htpasswd").write_text(_HTPASSWD)
    return certificates.make(folder)


def load_image(folder: Path, environment: Mapping[str, str]) -> None:
    """Build the image of a registry and load it into an engine, as a user would."""
    app = shutil.copytree(Path(__file__).parent / "app", folder / "app")
    built = containers.imagebuilder(
        *("build", str(app), "--tag", IMAGE, "--load", "docker", "--cache-dir", str(folder / "cache")),
        environment=environment,
    )
    if built.returncode:
        raise RuntimeError(built.stderr)


@contextmanager
def compose(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[list[str], Registries]]:
    """Yield the compose command of an engine, and where the registries will be, while tokens are served."""
    made = write(folder)
    ports = dict(zip(("PORT", "READ_ONLY_PORT", "SECURE_PORT", "TOKENS_PORT"), _free_ports(4), strict=True))
    with tokens.running(made, f"{USER}:{PASSWORD}") as realm:
        variables = {
            "DOCKER_HOST": environment["DOCKER_HOST"],
            "COMPOSE_PROFILES": "tokens",
            "REGISTRY_IMAGE": IMAGE,
            "REGISTRY_FOLDER": str(folder),
            "REGISTRY_TOKENS_REALM": realm,
            **{f"REGISTRY_{name}": str(port) for name, port in ports.items()},
        }
        command = ["env", *(f"{name}={value}" for name, value in variables.items()), *compose_program()]
        places = [f"127.0.0.1:{port}" for port in ports.values()]
        yield command, Registries(made.authority, *places, token_host=urlsplit(realm).netloc)


def compose_program() -> list[str]:
    """Return the command of Docker Compose, as Debian packages it or as Docker's plugin; nothing if there is none."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = ["docker", "compose"]
    if not shutil.which("docker"):
        return []
    return plugin if subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0 else []


def log_in(folder: Path, registry: str, *, password: str = PASSWORD) -> Path:
    """Write a Docker configuration with the password of a registry and return its folder."""
    folder.mkdir()
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    return folder


def answer(places: Registries) -> bool:
    """Look whether all of them listen."""
    return all(_listens(address) for address in (places.plain, places.read_only, places.secure, places.tokens))


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; held together, so that no two are the same."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]
