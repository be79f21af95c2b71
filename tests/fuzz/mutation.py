"""Inputs that are nearly right: bytes changed, cut, doubled, and spliced with those of another input."""

import random
from collections.abc import Iterator

_TOKENS = (
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"../", b"/", b"\n", b'"', b"'", b"[", b"{", b"-1",
    b"99999999999999999999", b"sha256:", b"\xc3\x28", b"\xed\xa0\x80", b"\\", b" ", b"=", b"null", b"1e999", b"%",
    b"\x1e", b"://[", b"[" * 2000, b"(" * 2000, b'{"a":' * 2000, b"9" * 5000,
)  # fmt: skip
_LARGEST = 64 << 10


def mutated(seeds: list[bytes], *, count: int, seed: str) -> Iterator[bytes]:
    """Yield inputs, the seeds first: always the same for the same arguments."""
    chance = random.Random(seed)
    yield from seeds[:count]
    for _ in range(count - len(seeds)):
        content = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            _change(content, chance, chance.choice(seeds))
        yield bytes(content[:_LARGEST])


def _change(content: bytearray, chance: random.Random, other: bytes) -> None:
    at = chance.randrange(len(content) + 1)
    end = min(len(content), at + chance.choice((1, 1, 2, 4, 16, 64, 512)))
    match chance.randrange(7):
        case 0 if at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(content):
            content[at] = chance.randrange(256)
        case 2:
            del content[at:end]
        case 3:
            content[at:at] = content[at:end]
        case 4:
            content[at:at] = chance.choice(_TOKENS)
        case 5:
            token = chance.choice(_TOKENS)
            content[at : at + len(token)] = token
        case _:
            start = chance.randrange(len(other) + 1)
            content[at:end] = other[start : start + end - at]
