"""Commands and hostile registries: exit codes, what is told, and what is left on disk."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagebuilder import cli, layout
from tests import certificates, encounters, hostile, images, registry
from tests.hostile import at
from tests.registry import INDEX, MANIFEST, Registry

PASSWORD = encounters.PASSWORD
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Row:
    """What the registry does, what is called ({name}: an image in it, {made}: one on disk), and how it must end."""

    name: str
    faults: Callable[[Registry], object]
    words: str
    exit_code: int
    code: str


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry with an image, and a user who is logged in to it."""
    for name in list(os.environ):
        if name.startswith(("IMAGEBUILDER_", "BP_", "GITHUB_", "XDG_", "DOCKER_", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with Registry(users={"ann": PASSWORD}, scheme="bearer").running() as running:
        running.put_image("team/app", b"a layer", b"another")
        encounters.log_in(tmp_path, running.address)
        made = images.small(tmp_path / "store")
        layout.write_layout(made.image, made.store, tmp_path / "made", names=["1.0"])
        yield running


def manifest(served: Registry, **changes: object) -> None:
    """Serve a manifest whose only layer is described otherwise."""
    _, content = served.repository("team/app").manifests[served.repository("team/app").tags["latest"]]
    document = json.loads(content)
    document["layers"] = [document["layers"][0] | changes]
    served.put_manifest("team/app", json.dumps(document).encode(), "latest")


def nest(served: Registry) -> None:
    """Serve an index of an index of an index, and so on."""
    name = served.repository("team/app").tags["latest"]
    size, media_type = len(served.repository("team/app").manifests[name][1]), MANIFEST
    for _ in range(20):
        document = {"schemaVersion": 2, "mediaType": INDEX}
        listed = [{"mediaType": media_type, "digest": name, "size": size}]
        content = json.dumps(document | {"manifests": listed}).encode()
        name, size, media_type = (
            served.put_manifest("team/app", content, "latest", media_type=INDEX),
            len(content),
            INDEX,
        )


def widen(served: Registry) -> None:
    """Serve an index that names twenty thousand manifests."""
    listed = [{"mediaType": MANIFEST, "digest": f"sha256:{n:064x}", "size": 9} for n in range(20_000)]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
    served.put_manifest("team/app", json.dumps(document).encode(), "latest", media_type=INDEX)


def fault(*faults: registry.Fault) -> Callable[[Registry], object]:
    return lambda served: served.faults.extend(faults)


def shout(served: Registry) -> None:
    """Refuse in words that would move the cursor, hide text and pose as ours."""
    body = json.dumps({"errors": [{"code": "X", "message": "\x1b[2J\u202egone\nerror[IB000]: \x07"}]}).encode()
    served.faults.append(at("", "/manifests/", hostile.says(400, body=body)))


COPY = "copy {name} oci:{folder}/out"
ROWS = [
    Row("other bytes", fault(at("GET", "/manifests/", hostile.flipped(20))), "inspect {name}", 6, "IB211"),
    Row("a page", fault(hostile.html()), "inspect {name}", 6, "IB212"),
    Row("no such repository", lambda served: served.repositories.clear(), "inspect {name}", 5, "IB206"),
    Row("503 for ever", fault(hostile.says(503)), "inspect {name}", 75, "IB201"),
    Row("wrong password", lambda served: served.users.update(ann="other"), "inspect {name}", 5, "IB204"),
    Row("wrong password", lambda served: served.users.update(ann="other"), "push {made} {name}", 5, "IB204"),
    Row("words that are no text", shout, "inspect {name}", 5, "IB215"),
    Row("no permission", lambda served: served.read_only.add("team/app"), "push {made} {name}", 5, "IB205"),
    Row("immutable tag", lambda served: setattr(served, "immutable", True), "push {made} {name}", 5, "IB215"),
    Row("a flipped bit", fault(at("GET", "/blobs/", hostile.flipped())), COPY, 6, "IB211"),
    Row("a byte more", fault(at("GET", "/blobs/", hostile.longer())), COPY, 6, "IB211"),
    Row(
        "digest that is a path", lambda served: manifest(served, digest="sha256:../../../etc/passwd"), COPY, 6, "IB501"
    ),
    Row("digest of another kind", lambda served: manifest(served, digest="md5:" + "0" * 32), COPY, 6, "IB501"),
    Row("size below zero", lambda served: manifest(served, size=-1), COPY, 6, "IB501"),
    Row("size that is a text", lambda served: manifest(served, size="7"), COPY, 6, "IB654"),
    Row("size that is too small", lambda served: manifest(served, size=3), COPY, 6, "IB211"),
    Row("index of indexes", nest, COPY, 6, "IB654"),
    Row("index of a crowd", widen, COPY, 5, "IB206"),
    Row("a name that is none", lambda _: None, "inspect UPPER/CASE:x", 2, "IB652"),
    Row("nothing is wrong", lambda _: None, "inspect {name} --insecure-registry {address}", 0, ""),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}: {row.words.split()[0]}")
def test_a_command_ends_as_it_says(
    row: Row, served: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row.faults(served)
    named = {"name": f"{served.address}/team/app", "address": served.address, "made": f"oci:{tmp_path}/made"}
    assert cli.run([word.format(**named, folder=tmp_path) for word in row.words.split()]) == row.exit_code
    out, err = capsys.readouterr()
    if row.code:
        assert out == ""
        assert f"[{row.code}]" in err
        assert sum(line.startswith("error[") for line in err.splitlines()) == 1
        assert all(line.isprintable() for line in err.splitlines())
    assert not any(secret in out + err for secret in encounters.SECRETS)
    assert not (tmp_path / "out" / "index.json").exists()


def test_what_was_tried_is_named(served: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served.users["ann"] = "another"
    assert cli.run(["inspect", f"{served.address}/team/app"]) == 5
    assert f'user "ann" from {tmp_path}/config.json' in capsys.readouterr().err


def test_a_title_that_is_a_path_and_foreign_addresses_are_not_looked_at(served: Registry, tmp_path: Path) -> None:
    with hostile.thief() as thief:
        title = {"org.opencontainers.image.title": "../../stolen"}
        manifest(served, annotations=title, urls=[f"{thief.url}/layer"])
        assert cli.run(["copy", f"{served.address}/team/app", f"oci:{tmp_path}/out", "-q"]) == 0
        assert thief.traffic.requests == []
    assert not list(tmp_path.rglob("stolen*"))


def test_a_manifest_of_two_kinds_is_refused(
    served: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, content = served.repository("team/app").manifests[served.repository("team/app").tags["latest"]]
    served.put_manifest("team/app", json.dumps(json.loads(content) | {"manifests": []}).encode(), "latest")
    assert cli.run(["copy", f"{served.address}/team/app", f"oci:{tmp_path}/out"]) == 6
    assert "[IB212]" in capsys.readouterr().err


def test_tls_that_nobody_vouches_for_and_plain_http_where_it_is_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = certificates.make(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with Registry(certificate=made.server).running() as served:
        served.put_image("app", b"layer")
        name = f"{served.address}/app"
        assert cli.run(["inspect", name]) == 5
        assert "[IB202]" in capsys.readouterr().err
        assert cli.run(["inspect", name, "--insecure-registry", served.address]) == 2
        assert "[IB203]" in capsys.readouterr().err
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        assert cli.run(["inspect", name]) == 0
