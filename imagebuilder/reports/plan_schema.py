"""The JSON schema of the document that `plan --json` prints."""

from typing import get_args, get_type_hints

from imagebuilder.reports import shapes
from imagebuilder.reports.plan import SCHEMA
from imagebuilder.reports.shapes import FLAG, TEXTS, Shape
from imagebuilder.resolve import Considered


def schema() -> Shape:
    """Return the schema (JSON Schema, draft 2020-12)."""
    return {
        "$schema": shapes.DRAFT,
        "title": "plan of imagebuilder",
        **shapes.record(
            {
                "schema": {"const": SCHEMA},
                "buildpacks": shapes.said(shapes.listed(_BUILDPACK), "those that take part, in their order"),
                "requirements": shapes.said(shapes.listed(_REQUIREMENT), "what they need of each other"),
                "groups": shapes.said(shapes.listed(_GROUP), "all groups of the order; the first that fits is chosen"),
                "settings": shapes.listed(
                    shapes.record(shapes.texts(key="of the configuration", value="", origin="who says so"))
                ),
                "configuration_files": TEXTS,
                "lock": shapes.record({"fits": FLAG, "reasons": shapes.said(TEXTS, "why it does not fit")}),
                "processes": shapes.listed(_PROCESS),
                "missing_libraries": shapes.said(
                    shapes.listed(_LIBRARY), "of the system, that wheels of the lock need"
                ),
                "layers": shapes.said(shapes.listed(_LAYER), "of packages, from the bottom up, if the lock fits"),
                "left_out": shapes.listed(
                    shapes.record(
                        shapes.texts(path="in the application", pattern="that matches", origin="of the pattern")
                    )
                ),
            },
            {"interpreter": shapes.said(_INTERPRETER, "the one that is pinned, if the lock fits")},
        ),
    }


_BUILDPACK = shapes.record(
    shapes.texts(
        id="",
        version="of a buildpack from outside; empty for imagebuilder's own",
        origin="whose code it is; empty for imagebuilder's own",
    )
)
_INTERPRETER = shapes.record(
    shapes.texts(version="all of it", origin="suite, image, or release of standalone builds that it is from")
)
_REQUIREMENT = shapes.record(
    {
        **shapes.texts(
            name="what is needed",
            version="condition on its version; empty for any",
            version_source="where that version stands",
            required_by="id of a buildpack",
            provided_by="id of the first buildpack that provides it",
        ),
        "build": shapes.said(FLAG, "needed while the image is built"),
        "launch": shapes.said(FLAG, "needed in the image"),
    }
)
_LIBRARY = shapes.record(
    {
        **shapes.texts(name="as the linker asks for it"),
        "needed_by": shapes.said(TEXTS, "names of Python packages"),
        "packages": shapes.said(TEXTS, "of Debian that have it, the likeliest first"),
    }
)
_LAYER = shapes.record(
    {**shapes.texts(name="", why="what puts them into one layer"), "packages": shapes.said(TEXTS, "names")}
)
_GROUP = shapes.record(
    {
        "buildpacks": TEXTS,
        "state": {"enum": get_args(get_type_hints(Considered)["state"])},
        "reasons": shapes.said(
            shapes.listed(shapes.record(shapes.texts(buildpack="", reason=""))),
            "why it was passed over; of the chosen one, why optional buildpacks are left out",
        ),
    }
)
_PROCESS = shapes.record(
    {
        **shapes.texts(type="", origin="who decided"),
        "command": TEXTS,
        "default": shapes.said(FLAG, "the image starts it"),
    }
)
