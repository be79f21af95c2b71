"""Certificates for TLS on loopback, signed by an authority made on the spot."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificates:
    """`authority` is what a client must trust; `server` holds a key and the certificate signed for it."""

    authority: Path
    server: Path


def make(folder: Path, *names: str) -> Certificates:
    """Make an authority and a certificate for these host names and addresses (default: those of loopback)."""
    authority, key = folder / "authority.pem", folder / "authority.key"
    _openssl("-subj", "/CN=authority of the tests", "-keyout", key, "-out", authority)
    server, server_key = folder / "server.pem", folder / "server.key"
    alternatives = ",".join(
        f"{'IP' if name[:1].isdigit() else 'DNS'}:{name}" for name in names or ("localhost", "127.0.0.1", "127.0.0.2")
    )
    _openssl(
        *("-subj", "/CN=registry of the tests", "-CA", authority, "-CAkey", key),
        *("-addext", f"subjectAltName={alternatives}", "-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", "authorityKeyIdentifier=keyid:always"),
        *("-keyout", server_key, "-out", server),
    )
    server.write_bytes(server_key.read_bytes() + server.read_bytes())
    return Certificates(authority, server)


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", "req", "-x509", "-days", "30", *_KEY, *map(str, words)], check=True, capture_output=True)
