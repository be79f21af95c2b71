"""The base as it stands in the lock: pins become a TOML table, and the table becomes pins."""

import re

from buildpacks.api import Interpreter
from imagebuilder.base.pins import BUILD, TIERS, Base, BasePins, ImagePins, PinnedDeb
from imagebuilder.base.probe import Found
from imagebuilder.tables import Table
from layers.canonical import Json
from layers.descriptor import CONFIG, Descriptor, Platform
from layers.digest import Digest
from layers.layer import Layer


def to_table(base: Base, requested: tuple[str, ...], build_requested: tuple[str, ...] = ()) -> dict[str, Json]:
    """Return the table of a base, and what the application asked for: packages in the image, packages for builds."""
    if isinstance(base, ImagePins):
        return {
            **_image_table(base),
            "requested": list(requested),
            "layers": [_layer_table(each) for each in base.layers],
        }
    return {
        "suite": base.suite,
        "architecture": base.architecture,
        "snapshot": base.snapshot,
        "requested": list(requested),
        **({"build-requested": list(build_requested)} if build_requested else {}),
        "packages": [
            _deb_table(deb, name)
            for name, tier in zip((*TIERS, BUILD), (*base.tiers, base.build), strict=True)
            for deb in tier
        ],
    }


def from_table(table: Table) -> Base:
    """Read such a table. Raises LookupError or TypeError if it is none."""
    if "image" in table.values:
        return _image(table)
    debs = [(each.text("tier"), _deb(each)) for each in table.tables("packages")]
    return BasePins(
        table.text("suite"),
        table.text("architecture"),
        table.text("snapshot"),
        tuple(tuple(deb for name, deb in debs if name == tier) for tier in TIERS),
        tuple(deb for name, deb in debs if name == BUILD),
    )


def _image_table(base: ImagePins) -> dict[str, Json]:
    return {
        "image": base.name,
        "architecture": base.platform.architecture,
        "media-type": base.manifest.media_type,
        "manifest": base.manifest.digest.value,
        "manifest-size": base.manifest.size,
        "config": base.config.digest.value,
        "config-size": base.config.size,
        "distribution": base.found.distribution,
        "glibc": base.found.glibc,
        "python": base.found.python,
        "certificates": base.found.certificates,
        "shells": list(base.found.shells),
        "interpreters": [{"version": each.version, "executable": each.executable} for each in base.found.interpreters],
    }


def _layer_table(layer: Layer) -> dict[str, Json]:
    stored = layer.descriptor
    return {
        "digest": stored.digest.value,
        "diff-id": layer.diff_id.value,
        "size": stored.size,
        "media-type": stored.media_type,
        **({"annotations": dict(sorted(stored.annotations.items()))} if stored.annotations else {}),
    }


def _image(table: Table) -> ImagePins:
    name = table.text("image")
    return ImagePins(
        name=name,
        platform=Platform("linux", table.text("architecture")),
        manifest=Descriptor(table.text("media-type"), Digest(table.text("manifest")), table.number("manifest-size")),
        config=Descriptor(CONFIG, Digest(table.text("config")), table.number("config-size")),
        layers=tuple(_layer(each, name) for each in table.tables("layers")),
        found=Found(
            interpreters=tuple(
                Interpreter(each.text("version"), each.text("executable"), name)
                for each in table.tables("interpreters")
            ),
            python=table.text("python"),
            glibc=_version(table.text("glibc")),
            musl=False,  # with musl there are no pins
            distribution=table.text("distribution"),
            certificates=table.text("certificates"),
            shells=table.texts("shells"),
        ),
    )


def _version(text: str) -> str:
    if not re.fullmatch(r"\d+\.\d+", text):
        raise KeyError("glibc")
    return text


def _layer(table: Table, name: str) -> Layer:
    stored = Descriptor(
        table.text("media-type"),
        Digest(table.text("digest")),
        table.number("size"),
        annotations=table.mapping("annotations"),
    )
    return Layer(stored, Digest(table.text("diff-id")), name)


def _deb_table(deb: PinnedDeb, tier: str) -> dict[str, Json]:
    return {
        "tier": tier,
        "name": deb.name,
        "version": deb.version,
        "architecture": deb.architecture,
        "path": deb.path,
        "size": deb.size,
        "sha256": deb.digest.hex,
    }


def _deb(table: Table) -> PinnedDeb:
    return PinnedDeb(
        name=table.text("name"),
        version=table.text("version"),
        architecture=table.text("architecture"),
        path=table.text("path"),
        digest=Digest("sha256:" + table.text("sha256")),
        size=table.number("size"),
    )
