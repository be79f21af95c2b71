"""What is unpacked, up to a limit: a small archive must not become more than anybody has room for."""

from collections.abc import Callable, Iterable, Iterator

from layers.errors import IntegrityError


def at_most(limit: int, chunks: Iterable[bytes], damaged: Callable[[str], IntegrityError]) -> Iterator[bytes]:
    """Hand on chunks; beyond so many bytes raise what `damaged` makes of the reason."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise damaged(f"it unpacks to more than {limit} bytes")
        yield chunk
