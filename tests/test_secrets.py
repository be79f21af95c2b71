"""Secrets: fourteen kinds of them are used for what they are for, and found nowhere in what a build leaves or says."""

import gzip
import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from imagebuilder import cli, web
from imagebuilder.sandbox import rungs
from tests import sdists, serving, world
from tests.canaries import Canary, opened
from tests.registry import Registry
from tests.serving import Answer, Request, Traffic
from tests.world import World

FILES = {"requirements.txt": "flask\n", "main.py": "import flask\n"}
# What the processes that this process starts are called with, which every user of a machine can read.
ARGUMENTS: list[str] = []
sys.addaudithook(lambda event, told: ARGUMENTS.append(repr(told[1])) if event == "subprocess.Popen" else None)


@dataclass
class Scene:
    """A world in which an application is built by somebody who has a secret."""

    place: World
    canary: Canary
    app: Path
    environment: dict[str, str]
    flags: tuple[str, ...] = ()
    traffic: Traffic = field(default_factory=Traffic)
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def secret(self) -> str:
        return self.canary.secret

    def url(self, userinfo: str = "") -> str:
        """The address of the index, with a user in it."""
        return self.place.index.url.replace("//", f"//{userinfo}@" if userinfo else "//", 1)

    def demand(self) -> None:
        """Have the index serve nobody without the secret."""
        self.place.index.user = f"ann:{self.secret}"

    def write(self, path: str, text: str, mode: int = 0o600) -> None:
        """Write a file of the user's."""
        file = self.place.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def forget(self, *names: str) -> None:
        for name in names:
            del self.environment[name]


def in_the_address_of_an_index(scene: Scene) -> None:
    scene.demand()
    scene.environment["PIP_INDEX_URL"] = scene.url(f"ann:{quote(scene.secret, safe='')}")


def in_a_netrc_file(scene: Scene) -> None:
    scene.demand()
    scene.write(".netrc", f"machine 127.0.0.1\nlogin ann\npassword {scene.secret}\n")


def in_pips_configuration(scene: Scene) -> None:
    scene.demand()
    scene.forget("PIP_INDEX_URL", "PIP_CONFIG_FILE")
    url = scene.url(f"ann:{quote(scene.secret, safe='')}")
    scene.write(".config/pip/pip.conf", f"[global]\nindex-url = {url}\n")


def in_variables_of_uv(scene: Scene) -> None:
    scene.demand()
    scene.forget("PIP_INDEX_URL")
    scene.environment |= {"UV_DEFAULT_INDEX": f"corp={scene.url()}", "UV_INDEX_CORP_USERNAME": "ann"}
    scene.environment["UV_INDEX_CORP_PASSWORD"] = scene.secret


def in_a_variable_that_an_address_names(scene: Scene) -> None:
    scene.demand()
    scene.forget("PIP_INDEX_URL")
    scene.environment["INDEX_PASSWORD"] = quote(scene.secret, safe="")
    (scene.app / "requirements.txt").write_text(f"--index-url {scene.url('ann:${INDEX_PASSWORD}')}\nflask\n")


def in_a_keyring(scene: Scene) -> None:
    scene.demand()
    scene.write("vault", scene.secret)
    scene.write("bin/keyring", f'#!/bin/sh\n[ "$1 $3" = "get ann" ] && cat {scene.place.folder}/vault\n', 0o700)
    scene.environment |= {"PIP_INDEX_URL": scene.url("ann"), "UV_KEYRING_PROVIDER": "subprocess"}
    scene.environment["PATH"] = f"{scene.place.folder}/bin:{scene.environment['PATH']}"


def in_the_address_of_a_proxy(scene: Scene) -> None:
    expected = "Basic " + b64encode(f"ann:{scene.secret}".encode()).decode()

    def forward(request: Request) -> Answer:
        if request.headers.get("proxy-authorization") != expected:
            return Answer(407, {"Proxy-Authenticate": "Basic"}, b"")
        asked = urllib.request.Request(request.target, method=request.method)
        asked.add_header("Accept", request.headers.get("accept", "*/*"))
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(asked) as answer:
                return Answer(answer.status, {"Content-Type": answer.headers["Content-Type"] or "x/y"}, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, {}, b"")

    port = scene.stack.enter_context(serving.serve(forward, scene.traffic))
    proxy = f"http://ann:{quote(scene.secret, safe='')}@127.0.0.1:{port}"
    scene.environment |= dict.fromkeys(("http_proxy", "HTTP_PROXY"), proxy)


def in_a_signed_address(scene: Scene) -> None:
    """An index sends us on to a store of files, whose address is good for whoever has it."""
    wheels = {f"/{one.filename}": one.content for one in scene.place.index.wheels}

    def store(request: Request) -> Answer:
        signed = request.query.get("signature") == scene.secret
        return Answer(body=wheels[request.path]) if signed else Answer(403)

    port = scene.stack.enter_context(serving.serve(store, scene.traffic))
    for path in wheels:
        to = f"to:http://127.0.0.1:{port}{path}?signature={quote(scene.secret, safe='')}"
        scene.place.index.faults[f"/files{path}"] = [to] * 50


def in_dockers_configuration(scene: Scene) -> None:
    registry = scene.stack.enter_context(Registry(users={"ann": scene.secret}, scheme="bearer").running())
    scene.traffic = registry.traffic
    auth = b64encode(f"ann:{scene.secret}".encode()).decode()
    scene.write(".docker/config.json", f'{{"auths": {{"{registry.address}": {{"auth": "{auth}"}}}}}}')
    scene.flags = ("--push", "-t", f"{registry.address}/team/app:1")


def in_a_header_of_dockers_configuration(scene: Scene) -> None:
    scene.write(".docker/config.json", f'{{"HttpHeaders": {{"X-Meta-Token": "{scene.secret}"}}}}')


def in_the_environment(scene: Scene) -> None:
    names = ("AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "SECRET_KEY", "BUILD_SECRET", "BP_SECRET", "UV_PUBLISH_TOKEN")
    scene.environment |= dict.fromkeys(names, scene.secret)


def in_a_token_of_ci(scene: Scene) -> None:
    names = ("GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD")
    scene.environment |= dict.fromkeys(names, scene.secret) | {"CI": "true", "GITHUB_ACTIONS": "true"}
    scene.environment |= {
        name: f"{scene.place.folder}/made/{name}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    }


def in_the_passphrase_of_a_key(scene: Scene) -> None:
    scene.environment |= dict.fromkeys(("COSIGN_PASSWORD", "GPG_PASSPHRASE", "COSIGN_PRIVATE_KEY"), scene.secret)


def in_files_of_the_application(scene: Scene) -> None:
    """A `.env`, keys, and the address that git fetches from; the time of the image is asked of git."""
    for name in (".env", ".env.production", "deploy/id_ed25519", "certs/tls.key", "certs/tls.pem", ".netrc", ".pypirc"):
        path = scene.app / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"SECRET={scene.secret}\n")
    user = ("-c", "user.name=ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main")
    remote = f"https://ann:{quote(scene.secret, safe='')}@git.example.com/team/app"
    for words in (("init", "-q"), ("remote", "add", "origin", remote), ("commit", "-q", "--allow-empty", "-m", "one")):
        subprocess.run(["git", "-C", str(scene.app), *user, *words], check=True)
    scene.flags = ("--created", "git")


@dataclass(frozen=True)
class Kind:
    """Where a secret is, and whether it has to be used."""

    put: Callable[[Scene], None]
    used: bool = True


KINDS = (
    Kind(in_the_address_of_an_index),
    Kind(in_a_netrc_file),
    Kind(in_pips_configuration),
    Kind(in_variables_of_uv),
    Kind(in_a_variable_that_an_address_names),
    Kind(in_a_keyring),
    Kind(in_the_address_of_a_proxy),
    Kind(in_a_signed_address),
    Kind(in_dockers_configuration),
    Kind(in_a_header_of_dockers_configuration, used=False),
    Kind(in_the_environment, used=False),
    Kind(in_a_token_of_ci, used=False),
    Kind(in_the_passphrase_of_a_key, used=False),
    Kind(in_files_of_the_application, used=False),
)
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.put.__name__)


@contextmanager
def acting(kind: Kind, place: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Set the scene: nothing is in the environment but what leads to the servers, and the secret.

    Servers are often away here: they are asked again as often as ever, or once by uv, but without a pause.
    """
    monkeypatch.setattr(web, "_LONGEST_WAIT_S", 0.001)
    canary = Canary(f"c4n4ry{abs(hash(kind.put.__name__)) % 10**9:09}Zq7Xw3")
    scene = Scene(place, canary, place.app(FILES), {**place.environment, "UV_HTTP_RETRIES": "1"})
    (place.folder / "made").mkdir()
    with scene.stack:
        kind.put(scene)
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in scene.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(place.folder)
        ARGUMENTS.clear()
        yield scene


def saw(scene: Scene) -> bool:
    """Say whether a server was shown the secret."""
    shown = b64encode(f"ann:{scene.secret}".encode()).decode()
    asked = [f"{path} {headers}" for path, headers in scene.place.index.seen]
    asked += [f"{one.target} {one.headers}" for one in scene.traffic.requests]
    return any(shown in one or quote(scene.secret, safe="") in one for one in asked)


def builds(scene: Scene) -> None:
    """Do all that is done with an application and its image, and leave what it gives in the folder `made`."""
    app, made = str(scene.app), scene.place.folder / "made"
    image = ("-o", f"oci:{made}/image", "-o", f"archive:{made}/image.tar", "--metadata-file", f"{made}/metadata.json")
    assert cli.run(["build", app, "-v", *image, *scene.flags]) == 0
    assert cli.run(["build", app, "--no-cache", "--json", "--progress", "jsonl", "-o", f"oci:{made}/again"]) == 0
    assert cli.run(["lock", app, "--upgrade", "-v"]) == 0
    assert cli.run(["plan", app, "--json"]) == 0
    assert cli.run(["plan", app, "-v"]) == 0
    assert cli.run(["inspect", f"oci:{made}/image", "--html", f"{made}/image.html"]) == 0
    (scene.app / "main.py").write_text("import click\n")
    assert cli.run(["build", app, "-q", "-o", f"oci:{made}/other"]) == 0
    reports = ("--html", f"{made}/diff.html", "--junit", f"{made}/diff.xml")
    assert cli.run(["diff", f"oci:{made}/image", f"oci:{made}/other", *reports]) == 1
    assert cli.run(["audit", f"oci:{made}/other", app, "--json", "-v"]) == 0


def failures(scene: Scene) -> None:
    """Have builds fail as they do, and say all they know of it."""
    app = str(scene.app)
    words = ["-v", "--traceback", "--no-cache", "-o", f"oci:{scene.place.folder}/made/failed"]
    shutil.rmtree(scene.place.folder / "cache")
    scene.place.index.faults.clear()
    gone = f"to:{scene.place.mirror.address}/gone?signature={quote(scene.secret, safe='')}"
    for fault in ("404", gone):
        scene.place.index.faults["/files/"] = [fault] * 9
        assert cli.run(["build", app, *words]) != 0
    scene.place.index.faults.clear()
    scene.place.index.user = "ann:another"
    assert cli.run(["build", app, *words]) != 0
    requirements = (scene.app / "requirements.txt").read_text()
    (scene.app / "requirements.txt").write_text(f"{requirements}no-such-package\n")
    assert cli.run(["build", app, *words]) != 0


def refusals(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have servers refuse to talk: one whose certificate nobody trusts, one that is gone, a proxy that is."""
    app = str(scene.app)
    words = ["-v", "--traceback", "--no-cache", "-o", f"oci:{scene.place.folder}/made/failed"]
    index = os.environ.get("PIP_INDEX_URL", "")
    for name in [name for name in os.environ if name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")]:
        monkeypatch.setenv(name, os.environ[name].replace("http:", "https:"))
        assert cli.run(["build", app, *words]) != 0
        monkeypatch.setenv(name, index or scene.url())
    monkeypatch.setenv("http_proxy", f"http://ann:{quote(scene.secret, safe='')}@127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", os.environ["http_proxy"])
    assert cli.run(["build", app, *words]) != 0


@kinds
def test_a_secret_is_used_for_what_it_is_for_and_found_nowhere(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with world.running(tmp_path) as place, acting(kind, place, monkeypatch) as scene:
        builds(scene)
        assert saw(scene) == kind.used
        failures(scene)
        refusals(scene, monkeypatch)
        output, errors = capfd.readouterr()
        assert "error[IB" in errors
        hits = scene.canary.hits("stdout", output.encode()) + scene.canary.hits("stderr", errors.encode())
        hits += scene.canary.hits("arguments of processes", "\n".join(ARGUMENTS).encode())
        hits += scene.canary.hits_in(tmp_path / "made", tmp_path / "cache", scene.app / "imagebuilder.lock")
    assert hits == []


def test_a_check_of_an_application_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its builds are processes of their own, which are given variables and write reports."""
    kind = Kind(in_the_address_of_an_index)
    with world.running(tmp_path) as place, acting(kind, place, monkeypatch) as scene:
        made = tmp_path / "made"
        reports = ("--html", f"{made}/check.html", "--junit", f"{made}/check.xml", "--json", "-v")
        assert cli.run(["check", str(scene.app), "--vary", "clock,umask,home", *reports]) == 0
        assert saw(scene)
        output, errors = capfd.readouterr()
        assert scene.canary.hits("what was said", f"{output}{errors}{ARGUMENTS}".encode()) == []
        assert scene.canary.hits_in(made, tmp_path / "cache", scene.app) == []


# What a build script can find out: its variables, and those and the arguments of all processes that it sees.
SPY = """
def make():
    import glob
    found = [repr(sorted(os.environ.items()))]
    for path in sorted(glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline") + glob.glob({files!r})):
        try:
            found.append(path + repr(open(path, "rb").read()))
        except OSError as error:
            found.append(path + repr(error))
    return {{"spy_found.py": repr(found).encode()}}
"""


@pytest.mark.skipif(all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here")
def test_what_is_built_from_source_finds_no_secret(tmp_path: Path) -> None:
    canary = Canary("c4n4ryOfTheSandboxZq7Xw3")
    (tmp_path / "vault").write_text(canary.secret)
    spy = sdists.sdist("spy", code=SPY.format(files=str(tmp_path / "vau*")))
    with sdists.running(tmp_path, spy) as place:
        place.index.user = f"ann:{canary.secret}"
        index = place.index.url.replace("//", f"//ann:{quote(canary.secret, safe='')}@", 1)
        names = ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "COSIGN_PASSWORD", "PIP_SECRET", "BP_SECRET")
        environment = {
            **dict.fromkeys(names, canary.secret),
            "PIP_INDEX_URL": index,
            "UV_INDEX_CORP_PASSWORD": canary.secret,
        }
        app = place.app(
            {"requirements.txt": "spy\n", "main.py": "", "imagebuilder.toml": f'python = "{sdists.SERIES}"\n'}
        )
        ran = place.run("build", str(app), "-v", "-o", f"oci:{tmp_path}/image", **environment)
        assert ran.returncode == 0, ran.stderr
        assert canary.hits("what was said", f"{ran.stdout}{ran.stderr}".encode()) == []
        assert canary.hits_in(tmp_path / "image", tmp_path / "cache", app) == []
        # The spy was at work: its variables and processes are in the image.
        seen = [
            text
            for path in (tmp_path / "image").rglob("*")
            if path.is_file()
            for _, text in opened("", path.read_bytes())
        ]
        assert any(b"SOURCE_DATE_EPOCH" in text and b"/cmdline" in text for text in seen)


WRAPPED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda secret: b"x" + secret,
    "in capitals": lambda secret: secret.upper(),
    "percent-encoded": lambda secret: quote(secret, safe="").encode(),
    "backwards": lambda secret: secret[::-1],
    "in hexadecimal": lambda secret: secret.hex().encode(),
    "in base64": lambda secret: b64encode(secret),
    "in base64 after a user": lambda secret: b64encode(b"ann:" + secret),
    "in base64 after another user": lambda secret: b64encode(b"anna:" + secret),
    "in base64 after a third": lambda secret: b64encode(b"annie:" + secret),
    "compressed, in an archive, after something else": lambda secret: b"tar" + gzip.compress(b"." + secret) + b"end",
    "compressed twice": lambda secret: gzip.compress(gzip.compress(secret)),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED.keys())
def test_a_secret_would_be_found(wrap: Callable[[bytes], bytes], tmp_path: Path) -> None:
    canary = Canary("c4n4ryZq7Xw3")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(wrap(canary.secret.encode()))
    assert canary.hits_in(tmp_path)
    assert not Canary("another0Zq7Xw3").hits_in(tmp_path)


def test_a_secret_would_be_found_in_names_links_and_members_of_archives(tmp_path: Path) -> None:
    canary = Canary("c4n4ryZq7Xw3")
    (tmp_path / "link").symlink_to(canary.word)
    (tmp_path / f"name-of-{canary.word}").touch()
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member", f"{canary.secret} " * 9)
    assert len(canary.hits_in(tmp_path)) == 3
