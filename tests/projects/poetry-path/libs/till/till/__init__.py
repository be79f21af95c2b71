"""a path dependency."""

import humanize


def count(number: int) -> str:
    return humanize.intcomma(number)
