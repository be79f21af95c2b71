"""The comparison of the command line: two images, wherever they are and whoever made them."""

from contextlib import closing

from imagebuilder import commands, destinations, reports, subject
from imagebuilder.config import Chosen
from imagebuilder.console import Console
from layers import scratch
from reproducibility.difference import Comparison


def diff(chosen: Chosen, console: Console) -> int:
    """Compare two images; exit code 1 if they differ.

    Digests that are equal are the answer: what they are of is not read any further.
    """
    cache = destinations.cache_dir(chosen.values.text("cache-dir"), chosen.environment)
    with closing(console.progress()) as progress, scratch.folder(cache / "scratch") as folder:
        settings = commands.registries(chosen, progress)
        with (
            subject.open_named(chosen.argument, settings=settings, scratch=folder) as left,
            subject.open_named(chosen.further[0], settings=settings, scratch=folder) as right,
        ):
            if left.digest == right.digest:
                comparison = Comparison(left.unread(), right.unread(), ())
            else:
                from reproducibility.compare import compare  # equal images do not pay for it

                unpacked = folder / "unpacked"
                unpacked.mkdir()
                with progress.step("compare") as step:
                    comparison = compare(left.read(), right.read(), scratch=unpacked, rootfs=chosen.values.on("rootfs"))
                    step.finish("the same" if comparison.same else "not the same")
    return reports.publish(comparison, chosen, console)
