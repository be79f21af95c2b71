"""The inspection of the command line that reads every layer: `inspect --html`."""

from contextlib import closing
from pathlib import Path

from imagebuilder import commands, destinations, inspection, report, subject
from imagebuilder.config import Chosen
from imagebuilder.console import Console
from imagebuilder.inspection import Inspection
from imagebuilder.reports import image_page
from imagebuilder.reports.document import encodable
from layers import scratch
from layers.blobs import write_file
from layers.errors import UsageError
from reproducibility.images import StoredImage, Subject


def inspect(chosen: Chosen, console: Console) -> int:
    """Write the page of an image, and what it comes to on stdout."""
    cache = destinations.cache_dir(chosen.values.text("cache-dir"), chosen.environment)
    with closing(console.progress()) as progress, scratch.folder(cache / "scratch") as folder:
        settings = commands.registries(chosen, progress)
        with subject.open_subject(chosen.argument, settings=settings, scratch=folder) as opened:
            image = _single(opened)
            unpacked = folder / "unpacked"
            unpacked.mkdir()
            with progress.step("inspect") as step:
                found = inspection.inspect(image, unpacked)
                step.finish(f"{len(found.files):,} files in {len(image.layers)} layers")
    write_file(Path(chosen.values.text("html")), image_page.html(found))
    _tell(found, console)
    return 0


def _single(opened: Subject) -> StoredImage:
    if len(opened.images) == 1:
        return opened.images[0]
    platforms = [f"{image.platform}: {image.manifest_digest}" for image in opened.images]
    raise UsageError(
        f"{opened.reference!r} names {len(platforms)} images, and the page shows one",
        details=tuple(platforms[:2]),
        hint="name the image of one platform by its digest: NAME@sha256:…",
        code="IB850",
    )


def _tell(found: Inspection, console: Console) -> None:
    if console.json:
        console.result_json(encodable(found.to_json()))
    else:
        console.result("\n".join(report.lines(found.to_json(), most=30)))
