"""Canaries: secrets that are nowhere to be found, however they are wrapped.

A canary is looked for as it is, in any case of letters, backwards, in hexadecimal and in base64 wherever it begins; in
names and contents of files, also of those in archives, and in what is compressed.
"""

import base64
import io
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_GZIP, _ZIP = b"\x1f\x8b\x08", b"PK\x03\x04"
_DEEPEST = 4


@dataclass(frozen=True)
class Canary:
    """A secret: a word that is nowhere else, with a tail that has to be escaped in addresses, JSON and markup."""

    word: str

    @property
    def secret(self) -> str:
        return f"{self.word}/+%&<"

    def hits(self, name: str, content: bytes) -> list[str]:
        """Name the places that a content shows the secret in."""
        return [f"{place}: {form}" for place, plain in opened(name, content) for form in self._shown(plain)]

    def hits_in(self, *roots: Path) -> list[str]:
        """Name the places in files and folders, in their names too."""
        found: list[str] = []
        for path in [each for root in roots for each in (root, *sorted(root.rglob("*")))]:
            found += self.hits(f"the name of {path}", os.fsencode(path.name))
            if path.is_symlink():
                found += self.hits(f"the target of {path}", os.fsencode(path.readlink()))
            elif path.is_file():
                found += self.hits(str(path), path.read_bytes())
        return found

    def _shown(self, content: bytes) -> Iterator[str]:
        word = self.word.encode()
        folded = content.lower()
        forms = {"plain": word, "backwards": word[::-1], "in hexadecimal": word.hex().encode()}
        yield from (form for form, text in forms.items() if text.lower() in folded)
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + word)
            # Characters that bits of a neighbour have a part in are not looked for.
            kept = encoded[-(-before * 8 // 6) : (before + len(word)) * 8 // 6]
            if kept in content or kept.replace(b"+", b"-").replace(b"/", b"_") in content:
                yield "in base64"


def opened(name: str, content: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield a content, and what is in it: members of zip archives, and what is compressed, wherever it begins."""
    yield name, content
    if depth == _DEEPEST:
        return
    if content.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                yield from opened(f"{name}!{member.filename}", archive.read(member), depth + 1)
    for start in re.finditer(re.escape(_GZIP), content):
        if plain := _gunzip(content[start.start() :]):
            yield from opened(f"{name}@{start.start()}", plain, depth + 1)


def _gunzip(content: bytes) -> bytes:
    """Decompress one member, whatever stands behind it; empty if it is none."""
    try:
        return zlib.decompressobj(wbits=31).decompress(content)
    except zlib.error:
        return b""
