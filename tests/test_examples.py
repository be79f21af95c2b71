"""The example applications become images that real tools load and run: as nobody in particular, on a read-only root."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests import containers, popular
from tests.containers import ROOT, ask, finished, imagebuilder
from tests.imagebuilder.test_outputs import CRUN

pytestmark = pytest.mark.network

EXAMPLES = ("flask", "django", "pandas", "script")
USER = 65532
STOP_S = 9  # an engine kills after ten
# Ends with every module that cannot be imported, not with the first.
IMPORT = """\
import importlib, sys
failed = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
print(len(sys.argv) - 1 - len(failed), "imported")
sys.exit("\\n".join(failed) or 0)
"""


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


@pytest.fixture
def run(docker_environment: dict[str, str]) -> Iterator[Callable[..., Container]]:
    with containers.running(docker_environment) as engine:
        yield engine.run


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
    code, seconds = containers.stop(container)
    assert (code, seconds < STOP_S) == (0, True)


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
    (app / "requirements.txt").write_text("\n".join(popular.MODULES) + "\n")
    (app / "main.py").write_text(IMPORT)
    build("imports", folder, "--load", "docker", environment=docker_environment)
    modules = [module for module in popular.MODULES.values() if module]
    container = run("imports", modules, environment={"MPLCONFIGDIR": "/dev/shm"})
    assert f"{len(modules)} imported" in finished(container).splitlines()


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
