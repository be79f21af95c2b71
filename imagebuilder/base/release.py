"""Release files: what an archive signs. Every other file of it is known by the hashes that stand here."""

import time  # noqa: TID251 how old an index may be is asked of the clock; the answer is yes or an error
from collections.abc import Iterator, Mapping
from email.utils import mktime_tz, parsedate_tz
from pathlib import Path

from layers.digest import Digest
from layers.errors import IntegrityError, UsageError
from layers.expression import expression
from layers.values import dataclass

_KEYRINGS = Path(__file__).parent / "keyrings"
_FIELD = expression(r"([A-Za-z0-9-]+): *(.*)")
_HASH_LINE = expression(r" ([0-9a-f]{64}) +([0-9]{1,12}) +(\S+)")


@dataclass(frozen=True, slots=True)
class Release:
    """A Release file whose signature was verified: `date` in seconds since 1970, `files` as (digest, size) by path."""

    codename: str
    date: int
    by_hash: bool
    files: Mapping[str, tuple[Digest, int]]


def read_release(signed: bytes, *, codename: str, keyring: Path | None, check_age: bool) -> Release:
    """Verify an InRelease file and read it.

    Raises UsageError IB559 if the keyring cannot be read, IntegrityError IB550 if none of its keys signed the file,
    IB551 if its time is over, IB552 if it is of another suite or malformed.
    """
    try:
        text = _verify(signed, keyring).decode()
    except UnicodeDecodeError as error:
        raise _malformed(codename, "it is not UTF-8") from error
    fields = {match[1]: match[2] for line in text.splitlines() if (match := _FIELD.fullmatch(line))}
    if fields.get("Codename") != codename:
        raise _malformed(codename, f"its codename is {fields.get('Codename')!r}")
    if check_age and "Valid-Until" in fields and _seconds(fields["Valid-Until"], codename) < time.time():
        raise IntegrityError(
            f"the index of {codename} was valid until {fields['Valid-Until']}",
            hint="the mirror stands still, or hides newer packages; choose another one, or set this machine's clock",
            code="IB551",
        )
    return Release(
        codename,
        _seconds(fields.get("Date", ""), codename),
        fields.get("Acquire-By-Hash") == "yes",
        dict(_files(text)),
    )


def _verify(signed: bytes, keyring: Path | None) -> bytes:
    """Return the text that was signed, which may be less than what came."""
    import pysequoia  # only pinning asks for an index

    certificates = []
    for path in [keyring] if keyring else sorted(_KEYRINGS.glob("*.gpg")):
        try:
            found = pysequoia.Cert.split_file(str(path))
        except (RuntimeError, OSError):
            found = []
        if not found:
            raise UsageError(
                f"cannot read the keyring {path}", hint="it has to be a file of OpenPGP certificates", code="IB559"
            )
        certificates += found
    try:
        text = pysequoia.verify(signed, store=lambda _ids: certificates).bytes
    except (RuntimeError, ValueError):
        text = None
    if not text:
        raise IntegrityError(
            "the index of the Debian archive is not signed by a trusted key",
            hint="choose another mirror; for an archive of your own, name its keys in `debian-keyring`",
            code="IB550",
        )
    return text


def _files(text: str) -> Iterator[tuple[str, tuple[Digest, int]]]:
    section = text.partition("\nSHA256:")[2].split("\n")[1:]
    for line in section:
        match = _HASH_LINE.fullmatch(line)
        if not match:
            return
        yield match[3], (Digest(f"sha256:{match[1]}"), int(match[2]))


def _seconds(date: str, codename: str) -> int:
    parsed = parsedate_tz(date)
    try:
        if parsed is not None:
            return mktime_tz(parsed)
    except (ValueError, OverflowError):
        pass
    raise _malformed(codename, f"{date!r} is no date")


def _malformed(codename: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"what the mirror serves as {codename} is something else: {what}",
        hint="check the address of the mirror, or choose another one",
        code="IB552",
    )
