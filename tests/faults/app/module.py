"""A module to compile."""

WORDS = ("one", "two", ("three", 4.5))


def total(numbers: list[int], *, start: int = 0) -> int:
    """Add up twice the numbers."""
    return sum(number * 2 for number in numbers) + start
