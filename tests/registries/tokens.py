"""A token server for a real registry: whoever has the password may pull everything, and push below `team/`.

It follows Docker's token specification ("Token Authentication Implementation"): tokens are JSON web tokens, signed with
a key whose certificate the registry trusts.
"""

import base64
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests import certificates, serving
from tests.serving import Answer, Request, Traffic

ISSUER = "token server of the tests"
SERVICE = "registry of the tests"
_LIFETIME_S = 300
_P256_BYTES = 32


@contextmanager
def running(made: certificates.Certificates, login: str) -> Iterator[str]:
    """Serve tokens to whoever logs in with `user:password`, and yield the realm."""
    basic = f"Basic {base64.b64encode(login.encode()).decode()}"

    def answer(request: Request) -> Answer:
        if request.headers.get("authorization") != basic:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="tokens"'})
        scopes = parse_qs(urlsplit(request.target).query).get("scope", [])
        token = _sign({"access": [_grant(scope) for scope in scopes]}, made)
        return Answer(200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode())

    with serving.serve(answer, Traffic(), certificate=made.server) as port:
        yield f"https://127.0.0.1:{port}/token"


def _grant(scope: str) -> dict[str, object]:
    """Grant what may be granted of a scope such as `repository:team/app:pull,push`."""
    kind, name, wanted = scope.split(":")
    allowed = {"pull", "push"} if name.startswith("team/") else {"pull"}
    return {"type": kind, "name": name, "actions": sorted(allowed & set(wanted.split(",")))}


def _sign(claims: dict[str, object], made: certificates.Certificates) -> str:
    now = int(time.time())
    times = {"iat": now, "nbf": now - 5, "exp": now + _LIFETIME_S, "jti": secrets.token_hex(8)}
    pem = made.server.read_text().partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    header = {"typ": "JWT", "alg": "ES256", "x5c": ["".join(pem.split())]}
    payload = {"iss": ISSUER, "aud": SERVICE, "sub": "", **times, **claims}
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, payload))
    return f"{signed}.{_base64url(_signature(signed.encode(), made.server))}"


def _signature(content: bytes, key: Path) -> bytes:
    """Sign; the two numbers stand side by side (RFC 7518, 3.4), where openssl makes DER of them."""
    command = ["openssl", "dgst", "-sha256", "-sign", str(key)]
    der = subprocess.run(command, input=content, capture_output=True, check=True).stdout
    first = der[4 : 4 + der[3]]
    second = der[6 + len(first) :]
    return b"".join(int.from_bytes(number).to_bytes(_P256_BYTES) for number in (first, second))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
