"""Explanations of all contents that differ, with a closer look at a few of each cause only."""

from collections import Counter
from collections.abc import Iterator

from layers.values import replace
from reproducibility.content import Content
from reproducibility.difference import Difference, Known

# So many that a report of a hundred thousand differences stays small; a cause looks the same everywhere.
_VIEWS_OF_CAUSE = 20
_VIEWS = 300


class Explainer:
    """Explains contents one after the other and counts the views it has asked for."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._views = Counter[str]()

    def explain(self, path: str, left: Content, right: Content, *, layer: str) -> Iterator[Difference]:
        """Say why two contents differ."""
        from reproducibility.explain import explain  # parsers of a dozen formats that equal images have no use for

        found = explain(path, left, right, known=self._known, views=False)
        wanted = {each.cause for each in found if self._views[each.cause] < _VIEWS_OF_CAUSE}
        if wanted and self._views.total() < _VIEWS:
            self._views.update(wanted)
            found = explain(path, left, right, known=self._known, views=True)
        for each in found:
            yield replace(each, layer=layer, view=each.view if each.cause in wanted else None)
