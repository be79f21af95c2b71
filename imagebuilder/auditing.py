"""Audits of the command line: a published image, checked to its last byte and rebuilt from its source and its lock."""

from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import closing
from pathlib import Path

from imagebuilder import build, commands, config, destinations, inputs, lock, reports, subject, together
from imagebuilder.audit import Audit, AuditedImage
from imagebuilder.config import Chosen
from imagebuilder.console import Console
from imagebuilder.progress import Progress, Step
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.request import BuildRequest, Output
from imagebuilder.together import GivenUp
from layers import scratch
from layers.errors import IntegrityError, UsageError
from layers.values import dataclass, replace
from reproducibility.compare import compare
from reproducibility.difference import Comparison
from reproducibility.images import StoredImage, StoredLayer, Subject

_DOWNLOADS = 4  # at a time


def audit(chosen: Chosen, console: Console) -> int:
    """Rebuild a published image; exit code 1 if it comes out otherwise."""
    cache = destinations.cache_dir(chosen.values.text("cache-dir"), chosen.environment)
    with closing(console.progress()) as progress, scratch.folder(cache / "scratch") as folder:
        settings = commands.registries(chosen, progress)
        with subject.open_subject(chosen.argument, settings=settings, scratch=folder) as published:
            source = chosen.further[0] if chosen.further else "."
            result = _Auditor(replace(chosen, argument=source), settings, progress, folder).audit(published)
    return reports.publish(result, chosen, console)


@dataclass(frozen=True, slots=True)
class _Auditor:
    """What an audit needs besides the image: the application as it was chosen, and a folder for what is made."""

    chosen: Chosen
    settings: RegistrySettings
    progress: Progress
    folder: Path

    def audit(self, published: Subject) -> Audit:
        """Audit the image of every platform that the lock knows, or of the one that was asked for.

        Raises UsageError IB812 for an image that is none of ours, IB813 for a platform that the image does not have,
        IntegrityError for a layer that is not what its digest promised.
        """
        if not (published.images and all(map(inputs.is_ours, published.images))):
            raise _not_ours(published.reference)
        wanted = self._asked_for(published)
        requests = {image.platform: self._request(image) for image in wanted}
        locked = lock.read(Path(self.chosen.argument))
        known = [image for image in wanted if inputs.platform(image) in locked] or wanted
        for image in known:
            self._verify(image)
        audited = [self._audit_image(image, requests[image.platform]) for image in known]
        return Audit(
            published.reference,
            published.digest,
            self.chosen.argument,
            tuple(image for image, _ in audited),
            _together(published, self.chosen.argument, [found for _, found in audited if found]),
            tuple(image.platform for image in wanted if image not in known),
        )

    def _asked_for(self, published: Subject) -> Sequence[StoredImage]:
        asked = self.chosen.values.text("platform")
        found = [image for image in published.images if asked in ("", inputs.platform(image))]
        if not found:
            raise _no_platform(published, asked)
        return found

    def _request(self, image: StoredImage) -> BuildRequest:
        """Ask for the build of an image as it once was asked for, as far as the image tells."""
        given = {**inputs.taken(image), **self.chosen.given}
        configuration = config.load(replace(self.chosen, given=given))
        for warning in configuration.warnings:
            self.progress.warn(warning)
        return replace(configuration.request, locked=True, use_cache=False)

    def _verify(self, image: StoredImage) -> None:
        """Read every layer that is published. Its documents were checked when they were read."""
        with self.progress.step("verify", total=sum(layer.size for layer in image.layers)) as step:
            together.run(
                lambda layer, given_up: _read(layer, image.reference, step, given_up), image.layers, workers=_DOWNLOADS
            )
            step.finish(f"{len(image.layers)} layers of {image.platform}")

    def _audit_image(self, image: StoredImage, request: BuildRequest) -> tuple[AuditedImage, Comparison | None]:
        digest = image.manifest_digest or image.config_digest
        stale = build.check_lock(request, Progress())
        stated = inputs.stated(image, request, given=self.chosen.given, stale=stale)
        if stale or any(not each.same for each in stated if each.name == "format"):
            return AuditedImage(image.platform, digest, "", stated), None
        unpacked = self.folder / "unpacked"
        unpacked.mkdir(exist_ok=True)
        with subject.open_subject(self._rebuild(image, request), settings=self.settings, scratch=self.folder) as made:
            rebuilt = _as_kept(image, made, self.chosen.argument)
            published = Subject(image.reference, digest, rebuilt.media_type, {}, (image,))
            with self.progress.step("compare") as step:
                comparison = compare(published, rebuilt, scratch=unpacked)
                step.finish("the same" if comparison.same else "not the same")
        explained = inputs.explained(stated, image, rebuilt.images[0], comparison.everything)
        return AuditedImage(image.platform, digest, rebuilt.digest, explained), comparison

    def _rebuild(self, image: StoredImage, request: BuildRequest) -> str:
        """Build from the source and the lock, every layer anew, into a layout of its own."""
        output = Output("oci", str(self.folder / f"rebuilt-{image.platform.replace('/', '-')}"))
        build.build(replace(request, outputs=(output,), tags=("rebuilt",)), self.progress)
        return str(output)


def _as_kept(published: StoredImage, made: Subject, source: str) -> Subject:
    """Take of the rebuilt image what is kept where the other is published: an engine keeps no manifest."""
    (image,) = made.images
    if not published.manifest_digest:
        image = replace(image, manifest_digest="", manifest={})
    digest = image.manifest_digest or image.config_digest
    return Subject(source, digest, made.media_type, {}, (replace(image, reference=source),))


def _read(layer: StoredLayer, reference: str, step: Step, given_up: GivenUp) -> None:
    try:
        for chunk in layer.stored():
            step.advance(len(chunk))
            if given_up():
                raise CancelledError
    except IntegrityError as error:
        raise IntegrityError(
            f"the layer `{layer.name or layer.digest}` of {reference} is damaged: {error.message}",
            details=error.details,
            hint=error.hint,
            code=error.code,
        ) from error


def _together(published: Subject, source: str, found: Sequence[Comparison]) -> Comparison | None:
    """Make one comparison of those of several platforms."""
    if not found:
        return None
    if not published.index:
        return replace(found[0], left=published)
    whole = len(found) == len(published.images) and all(each.same for each in found)
    rebuilt = tuple(image for each in found for image in each.right.images)
    right = Subject(source, published.digest if whole else "", published.media_type, {}, rebuilt)
    return Comparison(published, right, tuple(pair for each in found for pair in each.images))


def _not_ours(reference: str) -> UsageError:
    return UsageError(
        f"{reference} was not made by imagebuilder: nothing in it says from which inputs",
        hint=f"build it another time and compare: `imagebuilder diff {reference} OTHER`",
        code="IB812",
    )


def _no_platform(published: Subject, asked: str) -> UsageError:
    return UsageError(
        f"{published.reference} has no image for {asked}",
        details=(f"it has {', '.join(sorted(image.platform for image in published.images))}",),
        hint="leave out --platform to audit all that the lock has",
        code="IB813",
    )
