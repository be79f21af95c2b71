"""Pages: what each error code means, from the files in imagebuilder/explain."""

from pathlib import Path

from imagebuilder import text
from layers.errors import UsageError

_FOLDER = Path(__file__).parent / "explain"


def codes() -> tuple[str, ...]:
    """Return the codes that have a page."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("IB*.md")))


def page(code: str) -> str:
    """Return the page of a code, in any case, with or without the `IB`; UsageError IB112 if there is none."""
    wanted = code.upper() if code.upper().startswith("IB") else f"IB{code}"
    known = codes()
    if wanted not in known:
        near = text.nearest(wanted, known)
        raise UsageError(
            f"no page explains {code!r}",
            hint=f"did you mean `{near}`?" if near else "`imagebuilder explain` lists all codes",
            code="IB112",
        )
    return (_FOLDER / f"{wanted}.md").read_text("utf-8").rstrip("\n")


def titles() -> list[str]:
    """Return a line for each page: its code and title."""
    return [(_FOLDER / f"{code}.md").read_text("utf-8").partition("\n")[0].removeprefix("# ") for code in codes()]
