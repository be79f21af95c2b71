"""Our client and hostile registries: nothing secret leaves, wrong bytes are refused, faults that pass are overcome.

The tables hold, besides many more, the rows that other clients were measured with (oras-py, crane, skopeo).
encounters.py says what is checked of every row besides its end.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from layers.errors import BuildError, IntegrityError, RefusedError, TransientError
from tests import encounters, hostile, registry
from tests.encounters import (
    LAYERS,
    NAME,
    Encounter,
    ask,
    meet,
    overwrite,
    pull,
    pull_layer,
    pull_manifest,
    pull_manifest_by_digest,
    push,
    push_by_mount,
    push_layer,
    push_manifest,
)
from tests.hostile import at

BASIC = {"scheme": "basic"}
OPEN = {"users": {}}
SIZE = len(LAYERS[0])
BLOB = registry.digest_of(LAYERS[0])
MIB = 1 << 20


def table(*rows: Encounter) -> Callable[[Callable[..., None]], pytest.MarkDecorator]:
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


@table(
    Encounter("realm at another address", lambda it: [hostile.realm(f"{it.thief.url}/token")], pull, RefusedError),
    Encounter(
        "realm at another port",  # asked without a name, it gives a token that is worth nothing; the own realm is next
        lambda it: [hostile.realm(f"{it.neighbour.url}/token")],
        pull,
    ),
    Encounter(
        "realm under another host name",
        lambda it: [hostile.realm(f"http://localhost:{it.neighbour.port}/token")],
        pull,
        RefusedError,
    ),
    Encounter(
        "realm under another host name, Basic user",
        lambda it: [hostile.realm(f"http://localhost:{it.neighbour.port}/token")],
        push,
        RefusedError,
        BASIC,
    ),
    Encounter(
        "realm that hides its host behind a user",
        lambda it: [hostile.realm(f"http://{it.registry.address}@{it.thief.address}/token")],
        pull,
        RefusedError,
    ),
    Encounter(
        "realm that two readers of addresses read differently",
        lambda it: [hostile.realm(f"http://{it.thief.address}\\@{it.registry.address}/token")],
        pull,
        RefusedError,
    ),
    Encounter("realm that is a file", lambda _: [hostile.realm("file:///etc/passwd")], pull, RefusedError),
    Encounter("realm that is no address", lambda _: [hostile.realm("http://[::1/token")], pull, RefusedError),
    Encounter("realm that is missing", lambda _: [hostile.challenges("Bearer")], pull, RefusedError),
    Encounter("realm of 60 kB", lambda _: [hostile.realm(f"http://{'a' * 60_000}/")], pull, BuildError),
    Encounter(
        "challenge of ten thousand words",
        lambda _: [hostile.challenges("Bearer " + ",".join(f'x{n}="y"' for n in range(5000)))],
        pull,
        BuildError,
    ),
    Encounter("challenge of an unknown kind", lambda _: [hostile.challenges("Negotiate abc=")], pull, RefusedError),
    Encounter(
        "token server that sends on to another origin",
        lambda it: [at("", "/token", hostile.redirects(it.thief.url))],
        pull,
        RefusedError,
    ),
    Encounter(
        "token server that sends on to another port",
        lambda it: [at("", "/token", hostile.redirects(it.neighbour.url, 302))],
        pull,
        RefusedError,
    ),
    Encounter(
        "blob elsewhere, with a token",
        lambda it: [at("GET", "/blobs/", hostile.redirects(it.mirror.url))],
        pull,
    ),
    Encounter(
        "blob elsewhere, with Basic",
        lambda it: [at("GET", "/blobs/", hostile.redirects(it.mirror.url))],
        pull,
        rules=BASIC,
    ),
    Encounter(
        "manifest elsewhere, with Basic",
        lambda it: [at("GET", "/manifests/", hostile.redirects(it.mirror.url))],
        pull,
        rules=BASIC,
    ),
    Encounter(
        "blob at somebody who asks for credentials",
        lambda it: [at("GET", "/blobs/", hostile.redirects(it.thief.url))],
        pull,
        BuildError,
    ),
    Encounter(
        "manifest at another port that asks for credentials",
        lambda it: [at("GET|HEAD", "/manifests/", hostile.redirects(it.neighbour.url, 301))],
        pull,
        BuildError,
        BASIC,
    ),
    Encounter(
        "upload elsewhere, with a token",
        lambda it: [at("POST|PATCH", "/uploads/", hostile.uploads_to(it.thief.url))],
        push,
        BuildError,
    ),
    Encounter(
        "upload elsewhere, with Basic",
        lambda it: [at("POST|PATCH", "/uploads/", hostile.uploads_to(it.thief.url))],
        push,
        BuildError,
        BASIC,
    ),
    Encounter(
        "upload at another port",
        lambda it: [at("POST|PATCH", "/uploads/", hostile.uploads_to(it.neighbour.url))],
        push,
        BuildError,
    ),
    Encounter(
        "upload that is redirected",
        lambda it: [at("PUT|PATCH", "/uploads/", hostile.redirects(it.thief.url))],
        push,
        BuildError,
    ),
    Encounter(
        "manifest of ours that is redirected",
        lambda it: [at("PUT", "/manifests/", hostile.redirects(it.thief.url, 308))],
        push,
        BuildError,
        BASIC,
    ),
    Encounter(
        "cookies for everybody",
        lambda it: [
            at("GET", "/blobs/", hostile.redirects(it.mirror.url)),
            hostile.headers(Set_Cookie="id=secret-token-cookie; Path=/"),
        ],
        pull,
    ),
    Encounter(
        "error that repeats the credentials",
        lambda _: [hostile.parrots()],
        pull,
        RefusedError,
        BASIC,
    ),
)
def test_credentials_stay_at_their_origin(row: Encounter, tmp_path: Path) -> None:
    meet(row, tmp_path)


@table(
    Encounter(
        "manifest by digest, other bytes",
        lambda it: [at("GET", "/manifests/", hostile.replaced(it.manifest + b" "))],
        pull_manifest_by_digest,
        IntegrityError,
    ),
    Encounter(
        "manifest by tag, other bytes than its digest",
        lambda _: [at("GET", "/manifests/", hostile.flipped(20))],
        pull_manifest,
        IntegrityError,
    ),
    Encounter("blob with a flipped bit", lambda _: [at("GET", "/blobs/", hostile.flipped(99))], pull, IntegrityError),
    Encounter("blob with a byte less", lambda _: [at("GET", "/blobs/", hostile.shorter())], pull, IntegrityError),
    Encounter("blob with a byte more", lambda _: [at("GET", "/blobs/", hostile.longer())], pull, IntegrityError),
    Encounter(
        "another blob", lambda _: [at("GET", "/blobs/", hostile.replaced(b"x" * SIZE))], pull_layer, IntegrityError
    ),
    Encounter(
        "digest that is a path",
        lambda _: [hostile.headers(Docker_Content_Digest="sha256:../../etc/passwd")],
        pull,
        IntegrityError,
    ),
    Encounter(
        "digest that is a path, in answer to HEAD",
        lambda _: [hostile.headers(Docker_Content_Digest="sha256:../../etc/passwd")],
        ask,
        IntegrityError,
    ),
    Encounter("media type of a page", lambda _: [at("", "/manifests/", hostile.html())], pull, IntegrityError),
    Encounter("page instead of a blob", lambda _: [at("GET", "/blobs/", hostile.html())], pull, IntegrityError),
    Encounter("page everywhere", lambda _: [hostile.html()], pull, IntegrityError),
    Encounter(
        "media type that the document contradicts",
        lambda _: [hostile.headers(Content_Type=registry.INDEX)],
        pull_manifest,
        IntegrityError,
    ),
    Encounter("no media type", lambda _: [hostile.headers(Content_Type=None)], pull_manifest, IntegrityError),
    Encounter(
        "media type that is sent twice",
        lambda _: [at("", "/manifests/", hostile.twice("Content-Type", registry.INDEX))],
        pull_manifest,
        IntegrityError,
    ),
    Encounter(
        "digest that is sent twice",
        lambda _: [at("", "/manifests/", hostile.twice("Docker-Content-Digest", registry.digest_of(b"")))],
        pull_manifest,
        IntegrityError,
    ),
    Encounter(
        "length that is sent twice",
        lambda _: [at("GET", "/blobs/", hostile.twice("Content-Length", "10"))],
        pull_layer,
        (IntegrityError, TransientError),
    ),
    Encounter(
        "rest that is another's",
        lambda _: [
            at("GET", BLOB, hostile.replaced(b"x" * (SIZE - MIB)), after=1),
            at("GET", BLOB, hostile.cuts(MIB), times=1),
        ],
        pull_layer,
        IntegrityError,
    ),
    Encounter(
        "blob that is said to be kept under another digest",
        lambda _: [at("PUT", "/uploads/", hostile.headers(Docker_Content_Digest=registry.digest_of(b"")))],
        push_layer,
        IntegrityError,
    ),
    Encounter(
        "manifest that is said to be kept under another digest",
        lambda _: [at("PUT", "/manifests/", hostile.headers(Docker_Content_Digest=registry.digest_of(b"")))],
        push_manifest,
        IntegrityError,
    ),
    Encounter(
        "upload of which a bit is lost on the way",
        lambda _: [at("PATCH|PUT", "/uploads/", lambda *_: registry.error(400, "DIGEST_INVALID"))],
        push_layer,
        IntegrityError,
    ),
    Encounter(
        "blobs that are said to be there", lambda _: [at("HEAD", "/blobs/", hostile.says(200))], push, BuildError
    ),
    Encounter(
        "mount that is said to have been made",
        lambda _: [
            at("POST", "mount=", hostile.says(201, {"Docker-Content-Digest": registry.digest_of(b"")})),
        ],
        push_by_mount,
        IntegrityError,
    ),
)
def test_wrong_bytes_are_never_accepted(row: Encounter, tmp_path: Path) -> None:
    meet(row, tmp_path)


def documents() -> dict[str, bytes]:
    """Make documents that are served, under their right digest, as manifests."""
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": BLOB, "size": SIZE}
    plain = {"schemaVersion": 2, "mediaType": registry.MANIFEST, "config": layer, "layers": [layer]}
    return {
        "layers and manifests": json.dumps(plain | {"manifests": []}).encode(),
        "no JSON": b"\x00\x01",
        "nothing": b"",
        "a list": b"[]",
        "deep nesting": b'{"a":' + b"[" * MIB + b"]" * MIB + b"}",
        "a key that comes twice": b'{"mediaType":"text/html",' + json.dumps(plain).encode()[1:],
        "another media type": json.dumps(plain | {"mediaType": registry.INDEX}).encode(),
        "a media type that is a number": json.dumps(plain | {"mediaType": 7}).encode(),
        "half a character": b'{"mediaType": "\xff"}',
    }


@pytest.mark.parametrize("kind", documents())
def test_a_document_that_cannot_be_a_manifest_is_refused(kind: str, tmp_path: Path) -> None:
    content = documents()[kind]

    def serve(it: encounters.Place) -> list[registry.Fault]:
        it.registry.put_manifest(NAME, content, "latest")
        return []

    meet(Encounter(kind, serve, pull_manifest, IntegrityError), tmp_path)


@table(
    Encounter(
        "manifest: 503 twice", lambda _: [at("GET|HEAD", "/manifests/", hostile.says(503), times=2)], pull_manifest
    ),
    Encounter("blob: 500 twice", lambda _: [at("GET", "/blobs/", hostile.says(500), times=2)], pull),
    Encounter("429 without a time", lambda _: [at("GET", "/manifests/", hostile.says(429), times=2)], pull),
    Encounter(
        "429 with a time that is no number",
        lambda _: [at("GET", "/manifests/", hostile.says(429, {"Retry-After": "soon"}), times=1)],
        pull,
    ),
    Encounter(
        "429 with a time that is past",
        lambda _: [at("GET", "", hostile.says(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), times=1)],
        pull,
    ),
    Encounter(
        "429 with a time that is negative",
        lambda _: [at("GET", "", hostile.says(429, {"Retry-After": "-1"}), times=1)],
        pull,
    ),
    Encounter("token: 503 once", lambda _: [at("", "/token", hostile.says(503), times=1)], pull),
    Encounter("token: cut once", lambda _: [at("", "/token", hostile.cuts(10), times=1)], pull),
    Encounter("start of an upload: 502 once", lambda _: [at("POST", "", hostile.says(502), times=1)], push),
    Encounter("upload: 500 once", lambda _: [at("PUT|PATCH", "/uploads/", hostile.says(500), times=1)], push),
    Encounter("manifest of ours: 504 once", lambda _: [at("PUT", "/manifests/", hostile.says(504), times=1)], push),
    Encounter(
        "blob that is cut off",
        lambda _: [at("GET", BLOB, hostile.cuts(2 * MIB), times=1)],
        pull_layer,
        most_sent=SIZE + MIB // 2,
    ),
    Encounter("blob that ends early", lambda _: [at("GET", BLOB, hostile.truncates(MIB), times=1)], pull_layer),
    Encounter("blob that ends early again and again", lambda _: [at("GET", BLOB, hostile.truncates(MIB))], pull_layer),
    Encounter(
        "blob that is cut off, and no ranges",
        lambda _: [at("GET", BLOB, hostile.cuts(MIB), times=1)],
        pull_layer,
        rules={"ranges": False},
    ),
    Encounter(
        "blob that is cut off, and ranges refused",
        lambda _: [
            at("GET", BLOB, hostile.says(416), after=1, times=1),
            at("GET", BLOB, hostile.cuts(MIB), times=1),
        ],
        pull_layer,
    ),
    Encounter("upload that is cut off", lambda _: [at("PUT|PATCH", "", hostile.cuts_upload(MIB), times=1)], push_layer),
    Encounter(
        "upload that is cut off twice", lambda _: [at("PUT|PATCH", "", hostile.cuts_upload(MIB), times=2)], push_layer
    ),
    Encounter(
        "upload that is cut off and forgotten",
        lambda _: [
            at("GET|PATCH", "/uploads/upload", hostile.says(404), after=1, times=1),
            at("PUT|PATCH", "", hostile.cuts_upload(MIB), times=1),
        ],
        push_layer,
    ),
    Encounter(
        "upload whose answer is lost", lambda _: [at("PUT", "/uploads/", hostile.forgets(), times=1)], push_layer
    ),
    Encounter("manifest whose answer is lost", lambda _: [at("PUT", "/manifests/", hostile.forgets(), times=1)], push),
    Encounter("start of an upload whose answer is lost", lambda _: [at("POST", "", hostile.forgets(), times=1)], push),
    Encounter("mount that is refused", lambda _: [], push_by_mount, rules={"mounts": False}),
    Encounter("mount that is unknown", lambda _: [at("POST", "mount=", hostile.says(405))], push_by_mount),
    Encounter("mount that is forbidden", lambda _: [at("POST", "mount=", hostile.says(403))], push_by_mount),
    Encounter("token that expires while pushing", lambda _: [], push, rules={"token_uses": 3}),
    Encounter("token that is good for one request", lambda _: [], pull, rules={"token_uses": 1}),
    Encounter(
        "tokens that all expire before the manifest",
        lambda it: [
            at(
                "PUT",
                "/manifests/",
                lambda request, proceed: (it.registry.expire_tokens(), proceed(request))[1],
                times=1,
            )
        ],
        push,
    ),
    Encounter("HTTP/1.0, pulled from", lambda _: [hostile.http_1_0()], pull),
    Encounter("HTTP/1.0, pushed to", lambda _: [hostile.http_1_0()], push),
    Encounter("100 Continue that nobody waits for", lambda _: [hostile.continues(3)], push),
    Encounter("Basic, pulled from", lambda _: [], pull, rules=BASIC),
    Encounter("Basic, pushed to", lambda _: [], push, rules=BASIC),
    Encounter("nobody asks for anything", lambda _: [], push, rules=OPEN),
    Encounter("manifest without a digest header", lambda _: [hostile.headers(Docker_Content_Digest=None)], pull),
    Encounter("no digest in answers to uploads", lambda _: [hostile.headers(Docker_Content_Digest=None)], push),
    Encounter("every connection is closed", lambda _: [hostile.headers(Connection="close")], push),
    Encounter(
        "uploads named by whole addresses",
        lambda it: [at("POST|PATCH", "/uploads/", hostile.uploads_to(it.registry.url))],
        push,
    ),
)
def test_what_passes_is_overcome(row: Encounter, tmp_path: Path) -> None:
    meet(row, tmp_path)


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize(
    "fault", [hostile.resets, hostile.forgets, lambda: hostile.says(503)], ids=["reset", "lost", "503"]
)
@pytest.mark.parametrize("act", [pull, push], ids=lambda act: act.__name__)
def test_a_fault_at_any_request_is_overcome(
    act: encounters.Act, fault: Callable[[], registry.Fault], number: int, tmp_path: Path
) -> None:
    meet(Encounter("", lambda _: [at("", "", fault(), after=number, times=1)], act), tmp_path)


def test_a_time_to_wait_is_kept_and_no_longer(tmp_path: Path) -> None:
    faults = [at("GET", "/manifests/", hostile.says(429, {"Retry-After": "1"}), times=2)]
    end = meet(Encounter("", lambda _: faults, pull_manifest), tmp_path)
    assert 2 <= end.seconds <= 2.5


def test_an_upload_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    row = Encounter("", lambda _: [at("PATCH|PUT", "", hostile.cuts_upload(2 * MIB), times=1)], push_layer)
    end = meet(row, tmp_path)
    assert end.place.registry.traffic.received < SIZE + MIB


def test_foreign_addresses_of_a_layer_are_not_asked(tmp_path: Path) -> None:
    def pull_foreign(it: encounters.Place) -> None:
        blob = encounters.described(LAYERS[0])
        with it.open() as repository:
            assert b"".join(repository.blob(blob)) == LAYERS[0]

    def list_foreign(it: encounters.Place) -> list[registry.Fault]:
        manifest = json.loads(it.manifest)
        manifest["layers"][0]["urls"] = [f"{it.thief.url}/layer"]
        it.registry.put_manifest(NAME, json.dumps(manifest).encode(), "latest")
        return []

    end = meet(Encounter("", list_foreign, pull_foreign), tmp_path)
    assert end.place.thief.traffic.requests == []


@table(
    Encounter("503 for ever", lambda _: [hostile.says(503)], pull, TransientError),
    Encounter("429 for ever", lambda _: [hostile.says(429)], push, TransientError),
    Encounter(
        "wait until the end of time", lambda _: [hostile.says(429, {"Retry-After": "9" * 30})], pull, TransientError
    ),
    Encounter("resets for ever", lambda _: [hostile.resets()], pull, TransientError),
    Encounter("uploads that reset for ever", lambda _: [at("PUT|PATCH", "", hostile.resets())], push, TransientError),
    Encounter(
        "blob that is always cut off at its start", lambda _: [at("GET", BLOB, hostile.cuts(0))], pull, TransientError
    ),
    Encounter(
        "blob that always ends early, and no ranges",
        lambda _: [at("GET", BLOB, hostile.truncates(MIB))],
        pull,
        TransientError,
        {"ranges": False},
    ),
    Encounter("silence", lambda _: [hostile.stalls()], pull_manifest, TransientError),
    Encounter("silence after an upload", lambda _: [at("PUT|PATCH", "", hostile.stalls())], push, TransientError),
    Encounter("headers a byte at a time", lambda _: [hostile.drips(head=True)], pull_manifest, BuildError),
    Encounter(
        "manifest a byte at a time", lambda _: [at("GET", "/manifests/", hostile.drips())], pull_manifest, BuildError
    ),
    Encounter("blob a byte at a time", lambda _: [at("GET", BLOB, hostile.drips())], pull_layer, BuildError),
    Encounter("token a byte at a time", lambda _: [at("", "/token", hostile.drips())], pull, BuildError),
    Encounter("early hints that nobody asked for", lambda _: [hostile.early_hints(3)], pull, BuildError),
    Encounter("early hints for ever", lambda _: [hostile.early_hints()], pull_manifest, BuildError),
    Encounter("100 Continue for ever", lambda _: [hostile.continues()], pull_manifest, BuildError),
    Encounter(
        "headers for ever",
        lambda _: [hostile.says_raw(b"HTTP/1.1 200 OK\r\n", hostile.repeated(b"X-More: 1\r\n"))],
        pull_manifest,
        BuildError,
    ),
    Encounter(
        "one header for ever",
        lambda _: [hostile.says_raw(b"HTTP/1.1 200 OK\r\nX-Long: ", hostile.repeated(b"long"))],
        pull_manifest,
        BuildError,
    ),
    Encounter(
        "status line for ever", lambda _: [hostile.says_raw(hostile.repeated(b"HTTP"))], pull_manifest, BuildError
    ),
    Encounter(
        "chunk size for ever",
        lambda _: [
            hostile.says_raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", hostile.repeated(b"0000"))
        ],
        pull_layer,
        BuildError,
    ),
    Encounter(
        "trailers for ever",
        lambda _: [
            at(
                "GET",
                BLOB,
                hostile.says_raw(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", hostile.repeated(b"X: 1\r\n")
                ),
            )
        ],
        pull_layer,
        BuildError,
        most_sent=64 << 20,
    ),
    Encounter("no HTTP", lambda _: [hostile.says_raw(b"SSH-2.0-OpenSSH_9.2\r\n")], pull_manifest, BuildError),
    Encounter("nothing at all", lambda _: [hostile.says_raw(b"")], pull_manifest, TransientError),
    Encounter("status 999", lambda _: [hostile.says(999)], pull_manifest, BuildError),
    Encounter("status 204", lambda _: [hostile.says(204)], pull_manifest, BuildError),
    Encounter("status 304", lambda _: [hostile.says(304)], pull_manifest, BuildError),
    Encounter("status 206 that nobody asked for", lambda _: [hostile.says(206)], pull_layer, BuildError),
    Encounter("redirects in a circle", lambda it: [hostile.redirects(it.registry.url)], pull, RefusedError),
    Encounter("redirect to nowhere", lambda _: [hostile.says(307)], pull, RefusedError),
    Encounter("redirect to a file", lambda _: [hostile.redirects("file://localhost")], pull, RefusedError),
    Encounter(
        "redirect to what is no address", lambda _: [hostile.says(302, {"Location": "http://[x"})], pull, RefusedError
    ),
    Encounter(
        "401 for ever, whatever is brought",
        lambda it: [
            at("", "/v2/", hostile.challenges(f'Bearer realm="{it.registry.url}/token",service="x",scope="y"'))
        ],
        pull,
        RefusedError,
        most_requests=10,
    ),
    Encounter("upload that goes on nowhere", lambda _: [hostile.headers(Location=None)], push_layer, BuildError),
    Encounter(
        "upload that goes on in a file", lambda _: [hostile.headers(Location="file:///etc/x")], push_layer, BuildError
    ),
    Encounter(
        "upload that has more than was sent",
        lambda _: [
            at("PATCH|GET", "/uploads/", hostile.headers(Range="0-99999999999")),
            at("PUT|PATCH", "", hostile.cuts_upload(MIB), times=1),
        ],
        push_layer,
        BuildError,
    ),
    Encounter("immutable tag", lambda _: [], overwrite, RefusedError, {"immutable": True}),
    Encounter("no permission to push", lambda _: [], push, RefusedError, {"read_only": {NAME}}),
    Encounter("no permission to push, Basic", lambda _: [], push, RefusedError, BASIC | {"read_only": {NAME}}),
    Encounter("wrong password", lambda _: [], pull, RefusedError, {"users": {"ann": "another"}}),
    Encounter("wrong password, Basic", lambda _: [], push, RefusedError, BASIC | {"users": {"ann": "another"}}),
    Encounter(
        "manifest that is too large for it", lambda _: [at("PUT", "/manifests/", hostile.says(413))], push, RefusedError
    ),
    Encounter(
        "repository that is unknown",
        lambda it: [it.registry.repositories.clear() or hostile.headers()],
        pull,
        RefusedError,
    ),
)
def test_nothing_hangs_and_every_end_is_told(row: Encounter, tmp_path: Path) -> None:
    meet(row, tmp_path)


@table(
    Encounter(
        "manifest of 3 GiB",
        lambda _: [at("GET", "/manifests/", hostile.endless(size=3 << 30))],
        pull_manifest,
        IntegrityError,
    ),
    Encounter(
        "manifest that never ends",
        lambda _: [at("GET", "/manifests/", hostile.endless())],
        pull_manifest,
        IntegrityError,
    ),
    Encounter(
        "manifest by digest that never ends",
        lambda _: [at("GET", "/manifests/", hostile.endless())],
        pull_manifest_by_digest,
        IntegrityError,
    ),
    Encounter("blob that never ends", lambda _: [at("GET", BLOB, hostile.endless())], pull_layer, IntegrityError),
    Encounter("blob of 3 GiB", lambda _: [at("GET", BLOB, hostile.endless(size=3 << 30))], pull_layer, IntegrityError),
    Encounter("blob that is a bomb", lambda _: [at("GET", BLOB, hostile.squeezed())], pull_layer, IntegrityError),
    Encounter(
        "manifest that is a bomb",
        lambda _: [at("GET", "/manifests/", hostile.squeezed())],
        pull_manifest,
        IntegrityError,
    ),
    Encounter(
        "token of 1 MiB",
        lambda _: [at("", "/token", hostile.says(200, body=b'{"token": "%b"}' % (b"a" * MIB)))],
        pull,
        BuildError,
    ),
    Encounter("token that never ends", lambda _: [at("", "/token", hostile.endless())], pull, BuildError),
    Encounter("token in a page", lambda _: [at("", "/token", hostile.html())], pull, BuildError),
    Encounter("token in a list", lambda _: [at("", "/token", hostile.says(200, body=b'["x"]'))], pull, BuildError),
    Encounter(
        "token that is a number",
        lambda _: [at("", "/token", hostile.says(200, body=b'{"token": 7}'))],
        pull,
        BuildError,
    ),
    Encounter(
        "token that is two headers",
        lambda _: [at("", "/token", hostile.says(200, body=b'{"token": "a\\r\\nX-Evil: 1"}'))],
        pull,
        BuildError,
    ),
    Encounter(
        "refusal of 1 GiB",
        lambda _: [at("", "/manifests/", hostile.endless(size=1 << 30, status=403))],
        pull,
        RefusedError,
    ),
    Encounter(
        "failure of 1 GiB",
        lambda _: [at("", "/blobs/", hostile.endless(size=1 << 30, status=500))],
        pull,
        TransientError,
        most_sent=64 << 20,
    ),
    Encounter(
        "answer to an upload that never ends",
        lambda _: [at("POST", "", hostile.endless())],
        push,
        most_sent=64 << 20,
    ),
    Encounter(
        "redirect with a body that never ends",
        lambda it: [at("GET", "/blobs/", hostile.endless()), at("GET", "/blobs/", hostile.redirects(it.mirror.url))],
        pull,
        most_sent=64 << 20,
    ),
)
def test_no_more_is_read_than_makes_sense(row: Encounter, tmp_path: Path) -> None:
    meet(row, tmp_path)


@table(
    Encounter("pulled from", lambda _: [], pull, secure=True),
    Encounter("pushed to", lambda _: [], push, secure=True),
    Encounter("pushed to, Basic", lambda _: [], push, rules=BASIC, secure=True),
    Encounter("an authority nobody knows", lambda _: [], pull, RefusedError, secure=True, trusted=False),
    Encounter(
        "realm with TLS at another address",
        lambda it: [hostile.realm(f"{it.thief.url}/token")],
        pull,  # asked without a name, it gives a token that is worth nothing; the registry's own realm comes next
        secure=True,
    ),
    Encounter(
        "realm without TLS, at the same host",
        lambda it: [hostile.realm(f"http://{it.neighbour.address}/token")],
        pull,
        RefusedError,
        secure=True,
    ),
    Encounter(
        "token server that sends on without TLS",
        lambda it: [at("", "/token", hostile.redirects(it.neighbour.url))],
        pull,
        RefusedError,
        secure=True,
    ),
    Encounter(
        "blob without TLS",
        lambda it: [at("GET", "/blobs/", hostile.redirects(it.mirror.url))],
        pull,
        RefusedError,
        secure=True,
    ),
    Encounter(
        "upload without TLS",
        lambda it: [at("POST", "/uploads/", hostile.uploads_to(it.neighbour.url))],
        push,
        RefusedError,
        secure=True,
    ),
    Encounter(
        "upload with TLS at another address",
        lambda it: [at("POST", "/uploads/", hostile.uploads_to(it.thief.url))],
        push,
        BuildError,
        secure=True,
    ),
    Encounter("reset once", lambda _: [at("PUT|PATCH", "", hostile.cuts_upload(MIB), times=1)], push, secure=True),
    Encounter("cut once", lambda _: [at("GET", BLOB, hostile.cuts(MIB), times=1)], pull, secure=True),
    Encounter("silence", lambda _: [hostile.stalls()], pull, TransientError, secure=True),
)
def test_with_tls_it_is_no_worse(row: Encounter, tmp_path: Path) -> None:
    meet(row, tmp_path)


def test_nobody_listens(tmp_path: Path) -> None:
    with registry.Registry().running() as gone:
        pass

    def pull_from_it(it: encounters.Place) -> None:
        it.registry.port = gone.port
        pull(it)

    end = meet(Encounter("", lambda _: [], pull_from_it, TransientError), tmp_path)
    assert end.error
    assert end.error.exit_code == 75
