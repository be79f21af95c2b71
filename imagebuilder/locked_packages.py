"""The packages in the lock: wheels in the form of PEP 751, and those of conda."""

from typing import Literal

from buildpacks.api import Folder, PinnedConda, PinnedWheel, Source
from imagebuilder.sources import address
from imagebuilder.tables import Table
from layers.canonical import Json
from layers.digest import Digest


def wheel_table(wheel: PinnedWheel) -> dict[str, Json]:
    """Write a wheel, or what it is built from and with."""
    table: dict[str, Json] = {"name": wheel.name, **({"version": wheel.version} if wheel.version else {})}
    if isinstance(wheel.source, Folder):
        table["directory"] = {"path": wheel.source.path}
    elif wheel.source.kind == "git":
        table["vcs"] = _commit_table(wheel.source)
    elif wheel.built:
        table["sdist"] = _file_table(wheel.source)
    else:
        return {**table, "wheels": [_file_table(wheel.source)]}
    return {**table, "build-requires": [wheel_table(each) for each in wheel.requires or ()]}


def conda_table(package: PinnedConda) -> dict[str, Json]:
    """Write a conda package; its path begins with its channel."""
    file = _file_table(package.source)
    names = {"name": package.name, "version": package.version, "build": package.build}
    return {**file, **names, "path": package.source.locator}


def _commit_table(source: Source) -> dict[str, Json]:
    commit = address.parse(source.locator)
    return {
        "type": "git",
        "url": commit.url,
        "commit-id": commit.revision,
        **({"subdirectory": commit.folder} if commit.folder else {}),
        "hashes": {"sha256": source.digest.hex},
        **({} if source.size is None else {"size": source.size}),
    }


def _file_table(source: Source) -> dict[str, Json]:
    file: dict[str, Json] = {"name": source.name, "hashes": {"sha256": source.digest.hex}}
    if source.size is not None:
        file["size"] = source.size
    if source.kind == "url":
        file["url"] = source.locator
    if source.index:
        file["index"] = source.index
    return file


def wheel(table: Table) -> PinnedWheel:
    """Read what `wheel_table` wrote. Raises what `Table` raises."""
    name, version = table.text("name"), table.text("version", "")
    requires = tuple(map(_published, table.tables("build-requires")))
    if "directory" in table.values:
        return PinnedWheel(name, version, Folder(table.table("directory").text("path")), requires)
    if "vcs" in table.values:
        return PinnedWheel(name, version, _commit(table.table("vcs")), requires)
    if "sdist" in table.values:
        return PinnedWheel(name, version, _source(table.table("sdist"), "sdist", name), requires)
    return _published(table)


def _commit(table: Table) -> Source:
    commit = address.Address(table.text("url"), table.text("commit-id"), table.text("subdirectory", ""))
    digest = Digest("sha256:" + table.table("hashes").text("sha256"))
    return Source("git", commit.name, digest, table.number("size") if "size" in table.values else None, str(commit))


def _published(table: Table) -> PinnedWheel:
    name = table.text("name")
    (file,) = table.tables("wheels")
    return PinnedWheel(name, table.text("version"), _source(file, "wheel", name))


def conda(table: Table) -> PinnedConda:
    """Read what `conda_table` wrote. Raises what `Table` raises."""
    path, digest = table.text("path"), Digest("sha256:" + table.table("hashes").text("sha256"))
    source = Source("conda", path.rpartition("/")[2], digest, table.number("size"), path)
    return PinnedConda(table.text("name"), table.text("version"), table.text("build"), source)


def _source(file: Table, kind: Literal["wheel", "sdist"], name: str) -> Source:
    url = file.text("url", "")
    return Source(
        kind="url" if url else kind,
        name=file.text("name"),
        digest=Digest("sha256:" + file.table("hashes").text("sha256")),
        size=file.number("size") if "size" in file.values else None,
        locator=url or name,
        index=file.text("index", ""),
    )
