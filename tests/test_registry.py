"""The registry of the tests is a registry: what it does is what the specification says, and skopeo believes it."""

import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import certificates, hostile, registry
from tests.hostile import at
from tests.registry import Registry

USERS = {"ann": "secret"}
NOBODY = "sha256:" + "0" * 64


@pytest.fixture
def served() -> Iterator[Registry]:
    with Registry().running() as one:
        yield one


def ask(
    served: Registry, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Ask over a connection of its own; `Content_Range` stands for the header Content-Range."""
    with closing(http.client.HTTPConnection(served.address, timeout=10)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.mark.tools
@pytest.mark.parametrize(
    "rules", [{}, {"users": USERS}, {"users": USERS, "scheme": "bearer"}], ids=["open", "basic", "bearer"]
)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_skopeo_copies_to_it_and_from_it(rules: dict[str, object], secure: bool, tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "ca.crt").write_bytes(made.authority.read_bytes())
    layers = [bytes(range(256)) * 4096, b"small"]
    with Registry(**rules, certificate=made.server if secure else None).running() as served:
        digest = served.put_image("base/python", *layers, tag="3.13")
        trust = f"cert-dir={tmp_path}/trusted" if secure else "tls-verify=false"
        options = [f"--{side}-{trust}" for side in ("src", "dest")]
        options += [f"--{side}-creds=ann:secret" for side in ("src", "dest") if rules]
        places = [f"docker://{served.address}/{name}" for name in ("base/python:3.13", "copy/app:1", "other/app:1")]
        for source, target in [
            (places[0], places[1]),
            (places[1], f"oci:{tmp_path}/out:x"),
            (f"oci:{tmp_path}/out:x", places[2]),
        ]:
            subprocess.run(["skopeo", "copy", "--preserve-digests", *options, source, target], check=True, timeout=60)
    assert served.repository("copy/app").tags == served.repository("other/app").tags == {"1": digest}
    assert served.repository("copy/app").blobs == served.repository("base/python").blobs
    assert served.traffic.asked("POST", "mount=")


def test_an_upload_in_pieces_is_resumed_where_it_was_cut(served: Registry) -> None:
    content = bytes(range(256)) * 1000
    status, headers, _ = ask(served, "POST", "/v2/app/blobs/uploads/")
    assert status == 202
    place = headers["Location"]
    served.faults.append(at("PATCH", "", hostile.cuts_upload(1000), times=1))
    with pytest.raises(ConnectionError):
        ask(served, "PATCH", place, content)
    status, headers, _ = ask(served, "GET", place)
    assert (status, headers["Range"]) == (204, "0-999")
    assert ask(served, "PATCH", place, content[5000:], Content_Range="5000-255999")[0] == 416
    assert ask(served, "PATCH", place, content[1000:], Content_Range="1000-255999")[0] == 202
    assert ask(served, "PUT", f"{place}&digest={NOBODY}")[0] == 400
    status, headers, _ = ask(served, "PUT", f"{place}&digest={registry.digest_of(content)}")
    assert (status, headers["Docker-Content-Digest"]) == (201, registry.digest_of(content))
    assert ask(served, "GET", headers["Location"])[2] == content
    assert ask(served, "GET", place)[0] == 404


def test_a_part_of_a_blob_can_be_had(served: Registry) -> None:
    path = f"/v2/app/blobs/{served.put_blob('app', b'0123456789')}"
    status, headers, body = ask(served, "GET", path, Range="bytes=4-")
    assert (status, headers["Content-Range"], body) == (206, "bytes 4-9/10", b"456789")
    assert ask(served, "GET", path, Range="bytes=2-3")[2] == b"23"
    assert ask(served, "GET", path, Range="bytes=10-")[0] == 416
    served.ranges = False
    assert ask(served, "GET", path, Range="bytes=4-")[::2] == (200, b"0123456789")


def test_a_blob_is_mounted_from_a_repository_that_has_it(served: Registry) -> None:
    digest = served.put_blob("base", b"layer")
    path = f"/v2/app/blobs/uploads/?mount={digest}&from=base"
    assert ask(served, "POST", path)[0] == 201
    assert served.repository("app").blobs == {digest: b"layer"}
    assert ask(served, "POST", f"/v2/app/blobs/uploads/?mount={NOBODY}&from=base")[0] == 202


def test_a_manifest_is_kept_as_it_is_and_only_with_its_blobs(served: Registry) -> None:
    digest = served.put_image("app", b"layer", tag="1")
    media_type, content = served.repository("app").manifests[digest]
    status, headers, body = ask(served, "GET", "/v2/app/manifests/1")
    assert (status, headers["Content-Type"], headers["Docker-Content-Digest"], body) == (
        200,
        media_type,
        digest,
        content,
    )
    assert ask(served, "PUT", "/v2/app/manifests/2", content, Content_Type=media_type)[0] == 201
    assert ask(served, "PUT", f"/v2/app/manifests/{NOBODY}", content, Content_Type=media_type)[0] == 400
    assert ask(served, "PUT", "/v2/app/manifests/2", content, Content_Type="text/plain")[0] == 400
    assert ask(served, "PUT", "/v2/app/manifests/2", b"{", Content_Type=media_type)[0] == 400
    assert ask(served, "PUT", "/v2/other/manifests/2", content, Content_Type=media_type)[0] == 404
    index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": NOBODY}]}).encode()
    assert ask(served, "PUT", "/v2/app/manifests/3", index, Content_Type=registry.INDEX)[0] == 404
    assert json.loads(ask(served, "GET", "/v2/app/tags/list?n=1")[2])["tags"] == ["1"]
    assert json.loads(ask(served, "GET", "/v2/app/tags/list?n=1&last=1")[2])["tags"] == ["2"]
    assert ask(served, "DELETE", f"/v2/app/manifests/{digest}")[0] == 202
    assert ask(served, "GET", "/v2/app/manifests/2")[0] == 404


def test_an_immutable_tag_can_be_put_again_but_not_changed(served: Registry) -> None:
    served.immutable = True
    _, content = served.repository("app").manifests[served.put_image("app", tag="1")]
    assert ask(served, "PUT", "/v2/app/manifests/1", content, Content_Type=registry.MANIFEST)[0] == 201
    assert ask(served, "PUT", "/v2/app/manifests/1", content + b" ", Content_Type=registry.MANIFEST)[0] == 409


def test_what_refers_to_an_image_is_listed(served: Registry) -> None:
    subject = served.put_image("app", b"layer")
    _, content = served.repository("app").manifests[subject]
    document = json.loads(content) | {"subject": {"digest": subject}, "artifactType": "example/sbom"}
    text = json.dumps(document).encode()
    _, headers, _ = ask(
        served, "PUT", f"/v2/app/manifests/{registry.digest_of(text)}", text, Content_Type=registry.MANIFEST
    )
    assert headers["OCI-Subject"] == subject
    listed = json.loads(ask(served, "GET", f"/v2/app/referrers/{subject}")[2])["manifests"]
    assert [(one["digest"], one["artifactType"]) for one in listed] == [(registry.digest_of(text), "example/sbom")]
    assert json.loads(ask(served, "GET", f"/v2/app/referrers/{subject}?artifactType=other")[2])["manifests"] == []
    served.referrers = False
    assert ask(served, "GET", f"/v2/app/referrers/{subject}")[0] == 404


def test_a_token_allows_what_was_asked_for_until_it_expires() -> None:
    with Registry(users=USERS, scheme="bearer", anonymous_pull=True, token_uses=2).running() as served:
        served.put_image("app", b"layer")
        path = "/v2/app/manifests/latest"
        status, headers, _ = ask(served, "GET", path)
        assert status == 401
        assert 'scope="repository:app:pull"' in headers["WWW-Authenticate"]
        realm = re.search(r'realm="http://[^/]+(/token)"', headers["WWW-Authenticate"])
        assert realm
        answer = json.loads(ask(served, "GET", f"{realm[1]}?scope=repository:app:pull,push")[2])
        bearer = f"Bearer {answer['token']}"
        assert ask(served, "GET", path, Authorization=bearer)[0] == 200
        status, headers, _ = ask(served, "POST", "/v2/app/blobs/uploads/", Authorization=bearer)
        assert status == 401
        assert "insufficient_scope" in headers["WWW-Authenticate"]
        status, headers, _ = ask(served, "GET", path, Authorization=bearer)
        assert status == 401
        assert "invalid_token" in headers["WWW-Authenticate"]
        assert ask(served, "GET", "/token?scope=repository:app:pull", Authorization="Basic YW5uOng=")[0] == 401


def test_a_test_server_that_is_broken_says_so() -> None:
    def broken(_request: object, _proceed: object) -> registry.Answer:
        raise ZeroDivisionError

    with (
        pytest.raises(ZeroDivisionError),
        Registry(faults=[broken]).running() as served,
        pytest.raises(ConnectionError),
    ):
        ask(served, "GET", "/v2/")


def test_what_was_asked_sent_and_received_is_counted(served: Registry) -> None:
    digest = served.put_blob("app", b"0123456789")
    ask(served, "GET", f"/v2/app/blobs/{digest}", Authorization="Basic c2VjcmV0")
    target = f"/v2/app/blobs/uploads/?digest={registry.digest_of(b'12345')}"
    assert ask(served, "POST", target, b"12345")[0] == 201
    assert served.traffic.asked("GET", "/blobs/") == 1
    assert served.traffic.received == 5
    assert served.traffic.connections == 2
    assert served.traffic.sent == 10
    assert served.traffic.saw("c2VjcmV0") == [f"GET /v2/app/blobs/{digest}"]
    assert served.traffic.saw("345") == [f"POST {target}"]
