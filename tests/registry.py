"""An OCI registry in memory, on loopback: as faithful as a test can need, and as strange as `faults` make it.

    with Registry(users={"ann": "secret"}, scheme="bearer").running() as registry:
        registry.put_blob("team/app", b"layer")
        registry.traffic.asked("HEAD", "/blobs/")

It follows the OCI distribution specification 1.1 (blobs, uploads in pieces and resumed, mounts, manifests, tags,
referrers, deletion) and Docker's token specification. A fault is a function of a request and of the registry's way to
answer it; the one added last is asked first. hostile.py has many.
"""

import base64
import binascii
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from tests import serving
from tests.serving import Answer, Application, Request, Traffic

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
Fault = Callable[[Request, Application], Answer]

_NAME = r"(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_REFERENCE = re.compile(rf"{_DIGEST.pattern}|\w[\w.-]{{0,127}}")
_LONGEST_MANIFEST = 4 << 20


def digest_of(content: bytes | bytearray, like: str = "sha256:") -> str:
    """Return the digest of content, by the algorithm of another digest."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def error(status: int, code: str, headers: dict[str, str] | None = None) -> Answer:
    """Make an error in the form of the specification."""
    body = json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " "), "detail": None}]}).encode()
    return Answer(status, {"Content-Type": "application/json"} | (headers or {}), body)


class _Refused(Exception):
    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.answer = error(status, code, headers)


@dataclass
class Repository:
    """What a repository holds: blobs and manifests by digest (a manifest with its media type), and open uploads."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)


@dataclass
class Token:
    """A bearer token: whose it is, what it allows, and how many requests it is still good for."""

    user: str
    grants: frozenset[tuple[str, str]]
    uses: int


@dataclass
class Registry:
    """A registry, its content and its rules. Change any of it while it runs.

    `users`: names and passwords; without any, everybody may do everything. `anonymous_pull`: all may read.
    `read_only`: repositories nobody may push to. `immutable`: a tag stays what it is. `mounts`, `ranges`, `referrers`:
    whether the registry offers them. `token_uses`: after so many requests a token has expired (0: never).
    `identity_tokens`: what `docker login` may have kept instead of a password, and whose it is.
    """

    users: dict[str, str] = field(default_factory=dict)
    scheme: Literal["basic", "bearer"] = "basic"
    anonymous_pull: bool = False
    read_only: set[str] = field(default_factory=set)
    immutable: bool = False
    mounts: bool = True
    ranges: bool = True
    referrers: bool = True
    token_uses: int = 0
    identity_tokens: dict[str, str] = field(default_factory=dict)
    certificate: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    repositories: dict[str, Repository] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def running(self) -> Iterator["Registry"]:
        """Listen on a port of its own."""
        with serving.serve(self.respond, self.traffic, host=self.host, certificate=self.certificate) as self.port:
            yield self

    @property
    def address(self) -> str:
        """Host and port: what references begin with."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.certificate else 'http'}://{self.address}"

    def repository(self, name: str) -> Repository:
        """Return a repository; it begins empty."""
        return self.repositories.setdefault(name, Repository())

    def put_blob(self, name: str, content: bytes) -> str:
        """Store a blob and return its digest."""
        digest = digest_of(content)
        self.repository(name).blobs[digest] = content
        return digest

    def put_manifest(
        self, name: str, content: bytes, *tags: str, media_type: str = MANIFEST, like: str = "sha256:"
    ) -> str:
        """Store a manifest under its digest and tags, whatever it says, and return its digest."""
        repository, digest = self.repository(name), digest_of(content, like)
        repository.manifests[digest] = (media_type, content)
        repository.tags |= dict.fromkeys(tags, digest)
        return digest

    def put_image(self, name: str, *layers: bytes, tag: str = "latest") -> str:
        """Store an image of these layers (uncompressed) and return the digest of its manifest."""
        root = {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]}
        config = {"architecture": "amd64", "os": "linux", "rootfs": root}
        kinds = [("config.v1+json", json.dumps(config).encode()), *(("layer.v1.tar", layer) for layer in layers)]
        first, *rest = (
            {"mediaType": f"application/vnd.oci.image.{kind}", "digest": self.put_blob(name, blob), "size": len(blob)}
            for kind, blob in kinds
        )
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": first, "layers": rest}
        return self.put_manifest(name, json.dumps(document).encode(), tag)

    def expire_tokens(self) -> None:
        """Let all tokens given so far be worth nothing."""
        self.tokens.clear()

    def respond(self, request: Request) -> Answer:
        """Answer as the faults will have it."""
        application: Application = self.answer
        for fault in self.faults:
            application = _bind(fault, application)
        return application(request)

    def answer(self, request: Request) -> Answer:
        """Answer as a faithful registry does, whatever faults there are."""
        try:
            if request.path == "/token":
                return self._token(request)
            for pattern, handle in _ROUTES.items():
                if found := pattern.fullmatch(request.path):
                    names = found.groupdict()
                    self._authorize(request, names.get("name", ""))
                    return handle(self, request, **names)
        except _Refused as refused:
            return refused.answer
        return error(404, "NAME_INVALID" if request.path.startswith("/v2/") else "UNSUPPORTED")

    # Who may do what.

    def _authorize(self, request: Request, name: str) -> None:
        action = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "push")
        if not self.users:
            if action != "pull" and name in self.read_only:
                raise _Refused(403, "DENIED")
            return
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if self.scheme == "bearer":
            self._check_token(value if kind.lower() == "bearer" else "", name, action)
        elif user := self._user(kind, value):
            if action != "pull" and name in self.read_only:
                raise _Refused(403, "DENIED", {"X-User": user})
        elif kind or not (self.anonymous_pull and action == "pull" and name):
            raise _Refused(401, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="Registry of the tests"'})

    def _user(self, kind: str, value: str) -> str:
        if kind.lower() != "basic":
            return ""
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        return user if self.users.get(user) == password else ""

    def _check_token(self, value: str, name: str, action: str) -> None:
        with self.lock:
            token = self.tokens.get(value)
            if token and self.token_uses:
                token.uses -= 1
                if token.uses < 0:
                    del self.tokens[value]
                    token = None
        if token and (not name or (name, action) in token.grants):
            return
        scope = f'scope="repository:{name}:{"pull" if action == "pull" else f"pull,{action}"}"' if name else ""
        problem = f'error="{"insufficient_scope" if token else "invalid_token"}"' if value else ""
        words = [f'realm="{self.url}/token"', 'service="registry of the tests"', scope, problem]
        raise _Refused(401, "UNAUTHORIZED", {"WWW-Authenticate": f"Bearer {','.join(filter(None, words))}"})

    def _token(self, request: Request) -> Answer:
        if request.method == "POST":
            form = parse_qs(request.body.read().decode())
            user = self.identity_tokens.get(form.get("refresh_token", [""])[0], "")
        else:
            form = parse_qs(urlsplit(request.target).query)
            kind, _, value = request.headers.get("authorization", "").partition(" ")
            user = self._user(kind, value)
        if not user and (request.method == "POST" or "authorization" in request.headers or not self.anonymous_pull):
            raise _Refused(401, "UNAUTHORIZED")
        grants = set()
        for scope in " ".join(form.get("scope", [])).split():
            _, name, actions = scope.split(":")
            allowed = {"pull"} if name in self.read_only or not user else {"pull", "push", "delete"}
            grants |= {(name, action) for action in {*actions.split(",")} & allowed}
        with self.lock:
            value = f"secret-token-{len(self.traffic.requests)}-{len(self.tokens)}"
            self.tokens[value] = Token(user, frozenset(grants), self.token_uses)
        document = {"token": value, "access_token": value, "expires_in": 300}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def _may_read(self, request: Request, name: str) -> bool:
        if not self.users or self.scheme == "basic":
            return True
        token = self.tokens.get(request.headers.get("authorization", "").partition(" ")[2])
        return bool(token and (name, "pull") in token.grants)

    # What the specification's end points do.

    def _root(self, request: Request) -> Answer:
        return Answer(200, {"Docker-Distribution-Api-Version": "registry/2.0"}, b"{}")

    def _blob(self, request: Request, name: str, digest: str) -> Answer:
        blobs = self.repository(name).blobs
        if not _DIGEST.fullmatch(digest):
            raise _Refused(400, "DIGEST_INVALID")
        if digest not in blobs:
            raise _Refused(404, "BLOB_UNKNOWN")
        if request.method == "DELETE":
            del blobs[digest]
            return Answer(202)
        content = blobs[digest]
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        if not self.ranges:
            return Answer(200, headers, content)
        headers["Accept-Ranges"] = "bytes"
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not found or request.method == "HEAD":
            return Answer(200, headers, content)
        start, end = int(found[1]), min(int(found[2] or len(content) - 1), len(content) - 1)
        if start > end:
            return error(416, "RANGE_INVALID", {"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return Answer(206, headers, content[start : end + 1])

    def _start_upload(self, request: Request, name: str) -> Answer:
        if request.method != "POST":
            raise _Refused(405, "UNSUPPORTED")
        repository, mount, source = self.repository(name), request.query.get("mount", ""), request.query.get("from", "")
        if self.mounts and mount in self.repository(source).blobs and self._may_read(request, source):
            repository.blobs[mount] = self.repository(source).blobs[mount]
            return self._created(f"/v2/{name}/blobs/{mount}", mount)
        with self.lock:
            upload = f"upload-{len(self.traffic.requests)}-{len(repository.uploads)}"
            repository.uploads[upload] = bytearray()
        if "digest" in request.query:
            return self._finish_upload(request, name, upload)
        return self._upload_state(name, upload, 202)

    def _upload(self, request: Request, name: str, upload: str) -> Answer:
        uploads = self.repository(name).uploads
        if upload not in uploads:
            raise _Refused(404, "BLOB_UPLOAD_UNKNOWN")
        if request.method == "PUT":
            return self._finish_upload(request, name, upload)
        if request.method == "DELETE":
            del uploads[upload]
            return Answer(204)
        if request.method == "GET":
            return self._upload_state(name, upload, 204)
        self._append(request, uploads[upload])
        return self._upload_state(name, upload, 202)

    def _append(self, request: Request, content: bytearray) -> None:
        """Keep what arrives, also if the client leaves before its end; a piece must begin where the last one ended."""
        found = re.fullmatch(r"(\d+)-(\d+)", request.headers.get("content-range", ""))
        if found and int(found[1]) != len(content):
            raise _Refused(416, "BLOB_UPLOAD_INVALID", {"Range": f"0-{max(len(content) - 1, 0)}"})
        for chunk in request.body:
            content += chunk

    def _finish_upload(self, request: Request, name: str, upload: str) -> Answer:
        repository, digest = self.repository(name), request.query.get("digest", "")
        if not _DIGEST.fullmatch(digest):
            raise _Refused(400, "DIGEST_INVALID")
        content = repository.uploads[upload]
        self._append(request, content)
        if digest_of(content, digest) != digest:
            raise _Refused(400, "DIGEST_INVALID")
        repository.blobs[digest] = bytes(content)
        repository.uploads.pop(upload, None)
        return self._created(f"/v2/{name}/blobs/{digest}", digest)

    def _upload_state(self, name: str, upload: str, status: int) -> Answer:
        size = len(self.repository(name).uploads[upload])
        headers = {"Location": f"/v2/{name}/blobs/uploads/{upload}?_state=opaque", "Docker-Upload-Uuid": upload}
        return Answer(status, headers | {"Range": f"0-{max(size - 1, 0)}"})

    def _created(self, location: str, digest: str) -> Answer:
        return Answer(201, {"Location": location, "Docker-Content-Digest": digest})

    def _manifest(self, request: Request, name: str, reference: str) -> Answer:
        if not _REFERENCE.fullmatch(reference):
            raise _Refused(400, "DIGEST_INVALID" if ":" in reference else "TAG_INVALID")
        if request.method == "PUT":
            return self._put_manifest(request, name, reference)
        repository = self.repository(name)
        digest = repository.tags.get(reference, reference)
        if digest not in repository.manifests:
            raise _Refused(404, "MANIFEST_UNKNOWN")
        if request.method == "DELETE":
            if reference in repository.tags:
                del repository.tags[reference]
            else:
                del repository.manifests[digest]
                repository.tags = {tag: one for tag, one in repository.tags.items() if one != digest}
            return Answer(202)
        media_type, content = repository.manifests[digest]
        return Answer(200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, content)

    def _put_manifest(self, request: Request, name: str, reference: str) -> Answer:
        repository, content = self.repository(name), request.body.read()
        like = reference if ":" in reference else "sha256:"
        media_type, digest = request.headers.get("content-type", ""), digest_of(content, like)
        if len(content) > _LONGEST_MANIFEST:
            raise _Refused(413, "SIZE_INVALID")
        if ":" in reference and reference != digest:
            raise _Refused(400, "DIGEST_INVALID")
        if self.immutable and repository.tags.get(reference, digest) != digest:
            raise _Refused(409, "TAG_INVALID")
        try:
            document = json.loads(content)
            if document.get("mediaType", media_type) != media_type:
                raise _Refused(400, "MANIFEST_INVALID")
            described = [one for one in [document.get("config"), *document.get("layers", [])] if one]
            needed = [one["digest"] for one in described if ".nondistributable." not in one.get("mediaType", "")]
            listed = [one["digest"] for one in document.get("manifests", [])]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _Refused(400, "MANIFEST_INVALID") from None
        if not {*needed} <= repository.blobs.keys() or not {*listed} <= repository.manifests.keys():
            raise _Refused(404, "MANIFEST_BLOB_UNKNOWN")
        with self.lock:
            tags = [] if ":" in reference else [reference]
            self.put_manifest(name, content, *tags, media_type=media_type, like=like)
        answer = self._created(f"/v2/{name}/manifests/{digest}", digest)
        if self.referrers and "subject" in document:
            answer.headers["OCI-Subject"] = document["subject"]["digest"]
        return answer

    def _tags(self, request: Request, name: str) -> Answer:
        if name not in self.repositories:
            raise _Refused(404, "NAME_UNKNOWN")
        tags = sorted(tag for tag in self.repository(name).tags if tag > request.query.get("last", ""))
        count, headers = int(request.query.get("n", len(tags))), {"Content-Type": "application/json"}
        if count < len(tags):
            more = f"last={tags[count - 1]}&" if count else ""
            headers["Link"] = f'</v2/{name}/tags/list?{more}n={count}>; rel="next"'
        return Answer(200, headers, json.dumps({"name": name, "tags": tags[:count]}).encode())

    def _referrers(self, request: Request, name: str, digest: str) -> Answer:
        if not self.referrers:
            raise _Refused(404, "UNSUPPORTED")
        if not _DIGEST.fullmatch(digest):
            raise _Refused(400, "DIGEST_INVALID")
        found, wanted = [], request.query.get("artifactType", "")
        for other, (media_type, content) in sorted(self.repository(name).manifests.items()):
            document = json.loads(content)
            if document.get("subject", {}).get("digest") != digest:
                continue
            kind = document.get("artifactType") or document.get("config", {}).get("mediaType", "")
            if wanted in ("", kind):
                listed = {"mediaType": media_type, "digest": other, "size": len(content), "artifactType": kind}
                found.append(listed | {"annotations": document.get("annotations", {})})
        headers = {"Content-Type": INDEX} | ({"OCI-Filters-Applied": "artifactType"} if wanted else {})
        return Answer(200, headers, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).encode())


def _bind(fault: Fault, application: Application) -> Application:
    return lambda request: fault(request, application)


_ROUTES: dict[re.Pattern[str], Callable[..., Answer]] = {
    re.compile(r"/v2/?"): Registry._root,
    re.compile(rf"/v2/{_NAME}/blobs/uploads/"): Registry._start_upload,
    re.compile(rf"/v2/{_NAME}/blobs/uploads/(?P<upload>[\w-]+)"): Registry._upload,
    re.compile(rf"/v2/{_NAME}/blobs/(?P<digest>[^/]+)"): Registry._blob,
    re.compile(rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)"): Registry._manifest,
    re.compile(rf"/v2/{_NAME}/tags/list"): Registry._tags,
    re.compile(rf"/v2/{_NAME}/referrers/(?P<digest>[^/]+)"): Registry._referrers,
}
