"""A member of a workspace."""

import humanize


def count(number: int) -> str:
    return humanize.intcomma(number)
