"""The closure: packages asked for, and all that they depend on, without what only maintainer scripts would need."""

from collections import deque
from collections.abc import Iterable, Mapping

from imagebuilder.base.index import Package, PackageIndex, Relation
from layers.errors import BuildError

# Programs that only maintainer scripts call, and none of those is run (docs/decisions/0010).
_CUT = frozenset(
    {
        "adduser",
        "awk",
        "debconf",
        "debconf-2.0",
        "dpkg",
        "init-system-helpers",
        "install-info",
        "readline-common",
        "ucf",
    }
)
# The same for one package; to others the program may matter.
_CUT_OF = {"ca-certificates": frozenset({"openssl"})}


def closure(
    index: PackageIndex, names: Iterable[str], *, below: Mapping[str, Package] | None = None
) -> Mapping[str, Package]:
    """Return the packages of these names and what they need, by name, without those that are below already.

    Of alternatives the first that there is is taken, unless another one is already chosen.
    Raises BuildError IB554 for a name the suite does not have, IB555 for a dependency that cannot be met.
    """
    chosen = dict(below or {})
    waiting = deque(_requested(index, name) for name in sorted(names))
    asked = {package.deb.name: package for package in waiting}
    added = {}
    while waiting:
        package = waiting.popleft()
        if package.deb.name in chosen:
            continue
        chosen[package.deb.name] = added[package.deb.name] = package
        cut = _CUT | _CUT_OF.get(package.deb.name, frozenset())
        for alternatives in package.depends:
            if not any(_met(relation, {**asked, **chosen}) or relation.name in cut for relation in alternatives):
                waiting.append(_choose(index, package, alternatives))
    return {name: added[name] for name in sorted(added)}


def _requested(index: PackageIndex, name: str) -> Package:
    package = index.newest(name)
    if package:
        return package
    providers = [provider.deb.name for provider in index.providers(name)]
    import difflib  # only a mistake has to pay for it

    near = providers or difflib.get_close_matches(name, index.stanzas, 3)
    raise BuildError(
        f"debian {index.suite} has no package {name!r} for {index.architecture}",
        hint=f"did you mean {' or '.join(near[:5])}?" if near else "check its name in Debian's list of packages",
        code="IB554",
    )


def _met(relation: Relation, packages: Mapping[str, Package]) -> bool:
    package = packages.get(relation.name)
    if package and relation.holds(package.deb.version):
        return True
    return any(_provides(package, relation) for package in packages.values())


def _choose(index: PackageIndex, package: Package, alternatives: tuple[Relation, ...]) -> Package:
    for relation in alternatives:
        found = index.newest(relation.name)
        if found and relation.holds(found.deb.version):
            return found
        for provider in index.providers(relation.name):
            if _provides(provider, relation):
                return provider
    raise BuildError(
        f"cannot install {package.deb.name}: debian {index.suite} has nothing for its dependency on "
        + " or ".join(str(relation) for relation in alternatives),
        hint="the suite may be inconsistent at this moment; try again later, or choose another base",
        code="IB555",
    )


def _provides(package: Package, relation: Relation) -> bool:
    return any(
        provided.name == relation.name and (not relation.operator or relation.holds(provided.version))
        for provided in package.provides
    )
