"""Failures of registries, in words that say what to do.

`CutError` stays inside this package: whoever meets it tries again, and what is left at the end becomes IB201.
"""

import json
from collections.abc import Sequence

from layers.errors import BuildError, IntegrityError, RefusedError, TransientError, UsageError

_LONGEST_WORDS = 300


class CutError(Exception):
    """No whole answer came, or one that asks to come again; another try may meet a better one."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


def unreachable(host: str, reason: str) -> TransientError:
    """Make the error for a server that gave no answer, however often it was asked."""
    return TransientError(
        f"cannot reach {host}: {reason}",
        hint="check the name, the network and the proxy settings, then try again",
        code="IB201",
    )


def untrusted(host: str, reason: str) -> RefusedError:
    """Make the error for a certificate that nobody vouches for."""
    return RefusedError(
        f"the certificate of {host} is not trusted: {reason}",
        hint="name the file of its authority in SSL_CERT_FILE",
        code="IB202",
    )


def without_tls(host: str) -> UsageError:
    """Make the error for a server that speaks plain http where TLS is expected."""
    return UsageError(
        f"{host} does not speak TLS",
        hint=f"if it is yours and plain http is meant, give `--insecure-registry {host}`",
        code="IB203",
    )


def with_tls(host: str) -> UsageError:
    """Make the error for a server that speaks TLS where plain http was asked for."""
    return UsageError(
        f"{host} speaks TLS, not plain http",
        hint=f"leave out `--insecure-registry {host}`; for a certificate of your own set SSL_CERT_FILE",
        code="IB203",
    )


def unauthorized(repository: str, registry: str, tried: str, *, reason: str = "401") -> RefusedError:
    """Make the error for credentials that are wrong or missing; `tried` names their source."""
    return RefusedError(
        f"{registry} refused the credentials for {repository} ({reason})",
        details=(f"tried: {tried}",),
        hint=f"log in with `docker login {registry}`, or correct the entry in the docker configuration",
        code="IB204",
    )


def forbidden(repository: str, registry: str, tried: str) -> RefusedError:
    """Make the error for somebody who may not do this."""
    return RefusedError(
        f"{registry} does not allow this with {repository}",
        details=(f"tried: {tried}",),
        hint="ask for the permission to pull, or to push, or use another account or repository",
        code="IB205",
    )


def bad_place(host: str, reason: str) -> RefusedError:
    """Make the error for a server that sends us where we do not go."""
    return RefusedError(
        f"{host} sends us on {reason}",
        hint="this is for the people who run the registry; a registry that is trusted with nothing may not do this",
        code="IB210",
    )


def wrong_bytes(what: str, reason: str) -> IntegrityError:
    """Make the error for bytes that are not what their digest promised."""
    return IntegrityError(
        f"{what} is not what its digest promised: {reason}",
        hint="try again; if it stays so, the registry or something before it changes what passes through",
        code="IB211",
    )


def not_a_manifest(what: str, reason: str) -> IntegrityError:
    """Make the error for a document that cannot be the manifest it is served as."""
    return IntegrityError(
        f"{what} is not a manifest: {reason}",
        hint="check the name; if it is right, the registry serves something that is no container image",
        code="IB212",
    )


def too_large(what: str, limit: int) -> IntegrityError:
    """Make the error for an answer that does not end where it should."""
    return IntegrityError(
        f"{what} has more than {limit} bytes",
        hint="check the name; no registry has a reason to answer so",
        code="IB213",
    )


def kept_otherwise(what: str, reason: str) -> IntegrityError:
    """Make the error for a registry that does not have what it was sent."""
    return IntegrityError(
        f"the registry does not keep {what} as it was sent: {reason}",
        hint="try again; if it stays so, something between here and the registry changes what passes through",
        code="IB214",
    )


def refused(what: str, registry: str, status: int, body: bytes, tried: str) -> BuildError:
    """Make the error for an answer that says no, with the registry's own words if it has any."""
    codes, words = _words(body)
    if status in (404, 410):
        return RefusedError(
            f"{registry} does not have {what}",
            details=((f"it says: {words}",) if words else ()) + (f"tried: {tried}",),
            hint="check the name and the tag; some registries answer so to who may not see it",
            code="IB206",
        )
    if "DIGEST_INVALID" in codes:
        return kept_otherwise(what, words)
    return RefusedError(
        f"{registry} refuses {what}: it answers {status}",
        details=(f"it says: {words}",) if words else (),
        hint="see what the registry says; a tag that may not change, a quota and a size limit are the usual causes",
        code="IB215",
    )


def _words(body: bytes) -> tuple[Sequence[str], str]:
    """Read the errors of the distribution specification: their codes, and the first one in words."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return (), ""
    errors = document.get("errors") if isinstance(document, dict) else None
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    codes = [str(error.get("code", "")) for error in found]
    first = f"{codes[0]}: {found[0].get('message', '')}"[:_LONGEST_WORDS] if found else ""
    return codes, " ".join(first.split())
