"""The example applications become images that real tools load and run: as nobody in particular, on a read-only root."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest
from docker import DockerClient
from docker.models.containers import Container

from tests.imagebuilder.test_outputs import CRUN

pytestmark = pytest.mark.network

ROOT = Path(__file__).parent.parent
EXAMPLES = ("flask", "django", "pandas", "script")
USER = 65532
STOP_S = 2
ASK = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"

# Everything that is easily broken by assembling a system by hand; run in the image that has all these packages.
IMPORTS = {
    "numpy": "numpy", "pandas": "pandas", "django": "django", "psycopg[binary]": "psycopg",
    "cryptography": "cryptography.hazmat.bindings._rust", "grpcio": "grpc", "jupyter-core": "jupyter_core",
    "greenlet": "greenlet", "httpie": "httpie", "lxml": "lxml.etree", "matplotlib": "matplotlib.pyplot",
    "orjson": "orjson", "pillow": "PIL.Image", "psutil": "psutil", "pyarrow": "pyarrow", "pydantic": "pydantic",
    "pyyaml": "yaml", "scikit-learn": "sklearn.linear_model", "scipy": "scipy.linalg", "sqlalchemy": "sqlalchemy",
    "uvloop": "uvloop", "aiohttp": "aiohttp", "fastapi": "fastapi", "redis": "redis", "celery": "celery",
}  # fmt: skip


def imagebuilder(
    *arguments: str, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imagebuilder", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples are copied to and built; the cache is shared."""
    return tmp_path_factory.mktemp("examples")


def build(name: str, folder: Path, *flags: str, environment: Mapping[str, str] | None = None) -> str:
    app = folder / name
    if not app.exists():
        subprocess.run(["cp", "-r", str(ROOT / "examples" / name), str(app)], check=True)
        for left in ("imagebuilder.lock", "dist"):
            subprocess.run(["rm", "-rf", str(app / left)], check=True)
    built = imagebuilder(
        "build", str(app), "--cache-dir", str(folder / "cache"), *flags, cwd=folder, environment=environment
    )
    assert built.returncode == 0, built.stderr
    (line,) = built.stdout.splitlines()
    return line


@pytest.fixture(scope="module")
def client(docker_environment: dict[str, str]) -> Iterator[DockerClient]:
    connected = docker.from_env(environment=docker_environment, timeout=120)
    yield connected
    connected.close()


@pytest.fixture
def run(client: DockerClient) -> Iterator[object]:
    """Start containers of which nothing is left after the test."""
    started: list[Container] = []

    def start(image: str, command: list[str] | None = None, **options: object) -> Container:
        container = client.containers.run(image, command, detach=True, read_only=True, network_mode="none", **options)
        started.append(container)
        return container

    yield start
    for container in started:
        container.remove(force=True)


def ask(container: Container, url: str) -> str:
    """Ask a server from inside its container, which has no network; wait until it answers."""
    deadline = time.monotonic() + 30
    while True:
        code, output = container.exec_run(["python", "-c", ASK, url])
        if code == 0:
            return output.decode()
        if time.monotonic() > deadline:
            raise AssertionError(output.decode() + container.logs().decode())
        time.sleep(0.2)


def finished(container: Container) -> str:
    code = container.wait(timeout=120)["StatusCode"]
    output = container.logs().decode()
    assert code == 0, output
    return output


@pytest.mark.docker
def test_flask_answers_as_an_unprivileged_user_and_stops_when_told(folder: Path, docker_environment, run) -> None:
    build("flask", folder, "--load", "docker", environment=docker_environment)
    container = run("flask")
    assert ask(container, "http://127.0.0.1:8000/") == "Hello from a reproducible image!\n"
    health = json.loads(ask(container, "http://127.0.0.1:8000/health"))
    assert health["uid"] == USER
    assert health["certificate_authorities"] > 100
    stops_in_time(container)


@pytest.mark.docker
def test_django_answers_as_an_unprivileged_user_and_stops_when_told(folder: Path, docker_environment, run) -> None:
    build("django", folder, "--load", "docker", environment=docker_environment)
    container = run("django")
    answer = json.loads(ask(container, "http://127.0.0.1:8000/"))
    assert answer == {"books": ["Moby-Dick", "Middlemarch", "The Leopard"], "uid": USER, "zone": "Europe/Berlin"}
    stops_in_time(container)
    assert "no issues" in finished(run("django", entrypoint="/cnb/process/check"))


def stops_in_time(container: Container) -> None:
    started = time.monotonic()
    container.kill("SIGTERM")
    code = container.wait(timeout=30)["StatusCode"]
    assert (code, time.monotonic() - started < STOP_S) == (0, True)


@pytest.mark.docker
def test_pandas_computes(folder: Path, docker_environment, run) -> None:
    build("pandas", folder, "--load", "docker", environment=docker_environment)
    output = finished(run("rainfall"))
    assert [line.split() for line in output.splitlines()[1:]] == [
        ["Bergen", "39.5"],
        ["Lisbon", "4.4"],
        ["Graz", "3.6"],
    ]


@pytest.mark.docker
def test_a_plain_script_finds_what_a_system_has_to_offer(folder: Path, docker_environment, run) -> None:
    build("script", folder, "--load", "docker", environment=docker_environment)
    found = dict(line.rsplit(" ", 1) for line in finished(run("script")).splitlines())
    assert found["python"].startswith("3.13.")
    assert found[f"user {USER}"] == "/home/nonroot"
    assert found["encoding"] == "UTF-8"
    assert found["sqlite"].startswith("3.")
    assert int(found["certificate authorities"]) > 100
    assert found["zone"] == "Europe/Lisbon"
    assert found["libssl"] == "libssl.so.3"


@pytest.mark.docker
def test_packages_with_native_code_import_in_the_image(folder: Path, docker_environment, run) -> None:
    app = folder / "imports"
    app.mkdir()
    (app / "requirements.txt").write_text("\n".join(IMPORTS) + "\n")
    program = (
        "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\nprint('all imported')\n"
    )
    (app / "main.py").write_text(program)
    build("imports", folder, "--load", "docker", environment=docker_environment)
    container = run("imports", [*IMPORTS.values()], environment={"MPLCONFIGDIR": "/dev/shm"})
    assert finished(container).splitlines()[-1] == "all imported"


def test_building_again_changes_nothing(folder: Path) -> None:
    first = build("script", folder)
    assert build("script", folder) == first
    assert build("script", folder, "--locked", "--offline") == first


@pytest.mark.docker
def test_a_debian_package_is_there_at_run_time(folder: Path, docker_environment, run) -> None:
    app = folder / "packages"
    app.mkdir()
    (app / "imagebuilder.toml").write_text('packages = ["ffmpeg", "libpq5"]\n')
    (app / "main.py").write_text(
        "import ctypes.util, subprocess\n"
        "print(ctypes.util.find_library('pq'), flush=True)\n"
        "subprocess.run(['ffmpeg', '-version'], check=True)\n"
    )
    build("packages", folder, "--load", "docker", environment=docker_environment)
    output = finished(run("packages")).splitlines()
    assert output[0] == "libpq.so.5"
    assert output[1].startswith("ffmpeg version")


@pytest.mark.parametrize("base", ["bookworm", "forky"])
@pytest.mark.docker
def test_other_suites_run_too(base: str, folder: Path, docker_environment, run) -> None:
    app = folder / base
    app.mkdir()
    (app / "main.py").write_text("import ssl, sqlite3, sys\nprint(sys.version_info[:2])\n")
    flags = ("--base", f"debian:{base}", "--debian-expired", "--load", "docker")
    build(base, folder, *flags, environment=docker_environment)
    assert finished(run(base)).strip() == {"bookworm": "(3, 11)", "forky": "(3, 14)"}[base]


@pytest.mark.tools
@pytest.mark.root
def test_skopeo_umoci_and_crun_copy_unpack_and_run_the_image(folder: Path, tmp_path: Path) -> None:
    reference = build("script", folder, "--output", f"oci:{tmp_path}/image:latest")
    digest = reference.rpartition("@")[2]
    tool("skopeo", "copy", "--quiet", f"oci:{tmp_path}/image:latest", f"oci:{tmp_path}/copy:latest")
    assert tool("skopeo", "inspect", "--format", "{{.Digest}}", f"oci:{tmp_path}/copy:latest").strip() == digest
    tool("umoci", "unpack", "--image", f"{tmp_path}/copy:latest", str(tmp_path / "bundle"))
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())
    config["process"]["terminal"] = False
    config["root"]["readonly"] = True
    (tmp_path / "bundle" / "config.json").write_text(json.dumps(config))
    name = f"script-{os.getpid()}"
    output = tool(*CRUN, "--root", str(tmp_path / "crun"), "run", "--bundle", str(tmp_path / "bundle"), name)
    assert f"user {USER} /home/nonroot" in output.splitlines()


@pytest.mark.tools
@pytest.mark.root
def test_podman_loads_the_archive_and_has_the_same_config(folder: Path, tmp_path: Path) -> None:
    build("script", folder, "--output", f"archive:{tmp_path}/image.tar")
    inspected = json.loads(imagebuilder("inspect", f"archive:{tmp_path}/image.tar", "--json").stdout)
    # Not tmp_path: podman takes no path of more than 50 bytes here.
    with tempfile.TemporaryDirectory() as place:
        podman = ("podman", "--root", f"{place}/root", "--runroot", f"{place}/run", "--storage-driver", "vfs")
        tool(*podman, "load", "--input", f"{tmp_path}/image.tar")
        found = tool(*podman, "images", "--no-trunc", "--format", "{{.Id}}").split()
    assert inspected["config_digest"].endswith(found[0])


def tool(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
