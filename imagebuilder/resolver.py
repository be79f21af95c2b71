"""The resolver: requirements become a PEP 751 document, by uv."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from buildpacks.api import App, Interpreter, PinnedWheel, Target
from imagebuilder.fetch import Downloader
from layers.canonical import Json


@dataclass(frozen=True, slots=True)
class UvResolver:
    """Resolves with the uv that is installed with this package; `folder` is where uv keeps its cache.

    Index settings, environment and `offline` are those of the downloader.
    """

    downloader: Downloader
    folder: Path

    def resolve(
        self,
        app: App,
        *,
        requirements: tuple[str, ...],
        interpreter: Interpreter,
        target: Target,
        previous: tuple[PinnedWheel, ...],
    ) -> Mapping[str, Json]:
        """Resolve requirement files for one interpreter and target; implements buildpacks.api.Resolver."""
        raise NotImplementedError
