"""Reports: the same document for programs and for people."""

from pathlib import Path

from imagebuilder import github, report
from imagebuilder.cache import Usage
from imagebuilder.outcome import BuildOutcome, LayerOutcome
from layers.canonical import Json, encode
from layers.descriptor import LAYER_GZIP, Descriptor, Platform
from layers.digest import Digest
from layers.entry import Kind
from layers.layer import Layer
from layers.tarball import Member

A, B, C = (Digest(f"sha256:{digit * 64}") for digit in "abc")


def outcome(**fields: tuple[str, ...]) -> BuildOutcome:
    return BuildOutcome(
        name="shop",
        platform=Platform("linux", "amd64"),
        manifest_digest=A,
        config_digest=B,
        layers=(
            LayerOutcome("base", B, C, 12_000_000, cached=True),
            LayerOutcome("app|<b>", C, B, 84_000, cached=False, reason="new"),
        ),
        outputs=fields.get("outputs", ("oci:dist/shop.oci", "docker:shop")),
        tags=("shop:latest",),
        warnings=("careful",),
        timings={"layers": 1.23456},
    )


def test_the_digests_of_a_build_have_different_names() -> None:
    document = outcome().to_json()
    assert document["reference"] == f"oci:dist/shop.oci@{A}"
    assert document["manifest_digest"] == A.value
    assert document["config_digest"] == B.value
    assert document["size"] == 12_084_000
    assert document["timings"] == {"layers": 1.235}
    assert document["layers"] == [
        {"name": "base", "digest": B.value, "diff_id": C.value, "size": 12_000_000, "cached": True, "reason": ""},
        {"name": "app|<b>", "digest": C.value, "diff_id": B.value, "size": 84_000, "cached": False, "reason": "new"},
    ]
    assert encode(document)


def test_the_summary_of_a_build_continues_the_lines_of_its_steps() -> None:
    lines = report.summary(outcome(), seconds=2.1)
    assert lines == ["  done        12.1 MB in 2 layers, 1 cached, linux/amd64  2.1 s", f"  config      {B}"]


def test_a_document_is_written_with_a_line_for_each_value_and_a_table_for_each_list() -> None:
    document: dict[str, Json] = {
        "schema": 1,
        "settings": [{"key": "python", "value": "3.13", "origin": "--python"}],
        "configuration_files": ("pyproject.toml",),
        "lock": {"fits": False, "reasons": ("requirements.txt has changed",)},
        "processes": [{"type": "web", "command": ("python", "-m", "shop"), "default": True}],
        "left_out": [],
    }
    assert report.lines(document) == [
        "settings",
        "  key     value  origin",
        "  python  3.13   --python",
        "configuration files",
        "  pyproject.toml",
        "lock",
        "  fits     no",
        "  reasons",
        "    requirements.txt has changed",
        "processes",
        "  type  command         default",
        "  web   python -m shop  yes",
    ]
    assert encode(document)


def test_long_lists_are_cut_only_when_asked() -> None:
    document: dict[str, Json] = {"names": [str(number) for number in range(50)]}
    assert len(report.lines(document)) == 51
    assert report.lines(document, most=3) == ["names", "  0", "  1", "  2", "  … and 47 more; `--json` lists all"]


def test_names_from_outside_cannot_reach_the_terminal() -> None:
    document: dict[str, Json] = {"a": "\x1b[2J", "b": ["\u202e"], "c": [{"d": "\x07", "e": ["\x1b"]}]}
    assert "\n".join(report.lines(document)).replace("\n", "").isprintable()


def test_the_files_of_a_layer_are_listed_below_it() -> None:
    layer = Layer(Descriptor(LAYER_GZIP, A, 100), B, "base")
    members = (
        Member("etc", Kind.DIRECTORY, 0o755, 0, 0, 512, 0, ""),
        Member("etc/x", Kind.SYMLINK, 0o777, 0, 0, 1024, 0, "../y"),
        Member("etc/z", Kind.FILE, 0o644, 1, 2, 1536, 1234, ""),
    )
    assert report.lines({"layers": [report.files(layer, members)]}) == [
        "layers",
        f"  digest      {A}",
        "  created by  base",
        "  files",
        "    mode  owner  size  path   target",
        "    0755  0:0    0 B   etc/",
        "    0777  0:0    0 B   etc/x  ../y",
        "    0644  1:2    1 kB  etc/z",
    ]


def test_the_cache_is_described_in_units_for_people() -> None:
    document = report.usage(Usage(3, 18_200_000, 2), "/cache")
    assert report.lines(document) == ["cache    /cache", "blobs    3", "size     18.2 MB", "results  2"]


def test_github_actions_gets_outputs_and_a_summary_without_markup_from_outside(tmp_path: Path) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary"
    output.write_text("before=1\n")
    github.publish(
        outcome(),
        {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)},
    )
    assert output.read_text().splitlines() == [
        "before=1",
        f"digest={A}",
        f"config-digest={B}",
        f"ref=oci:dist/shop.oci@{A}",
    ]
    assert "| app\\|&lt;b> | 84 kB | made | `cccccccccccc` |" in summary.read_text()


def test_elsewhere_github_actions_is_not_written_to(tmp_path: Path) -> None:
    github.publish(outcome(), {"GITHUB_OUTPUT": str(tmp_path / "output")})
    assert not list(tmp_path.iterdir())
