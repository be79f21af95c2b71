"""The commands that need no network, from the command line to their result."""

import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import tomli

from imagebuilder import cli, commands, config, layout
from imagebuilder.config import Chosen
from imagebuilder.console import Console
from imagebuilder.options import COMMANDS, OPTIONS, options_of
from imagebuilder.outcome import BuildOutcome, LayerOutcome
from layers.descriptor import Platform
from layers.digest import Digest
from tests import images

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "main.py").write_text("print('hello')\n")
    (folder / ".env").touch()
    return folder


def test_there_is_a_command_for_each_name() -> None:
    assert list(commands.COMMANDS) == list(COMMANDS)


def test_plan_shows_what_decides_and_writes_nothing(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["plan", str(app), "--python", "3.13"]) == 0
    out, err = capsys.readouterr()
    assert "version 3.13, says --python" in out
    assert "there are no pins for linux/amd64" in out
    assert ".env" in out
    assert err == ""
    assert sorted(path.name for path in app.iterdir()) == [".env", "main.py"]
    assert not (app.parent / ".cache").exists()


def test_plan_as_json_gives_the_origin_of_each_value(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["plan", str(app), "--python", "3.13", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"key": "python", "value": "3.13", "origin": "--python"} in document["settings"]
    assert {"key": "base", "value": "debian:trixie", "origin": "default"} in document["settings"]
    assert document["lock"] == {"fits": False, "reasons": ["there are no pins for linux/amd64"]}
    assert [each["path"] for each in document["left_out"]] == [".env"]


def test_plan_warns_on_stderr(app: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("IMAGEBUILDER_PYTON", "3")
    assert cli.run(["plan", str(app)]) == 0
    assert capsys.readouterr().err == ("warning: IMAGEBUILDER_PYTON has no effect: did you mean IMAGEBUILDER_PYTHON?\n")


def test_an_empty_folder_is_not_an_application(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for command in ("plan", "build", "lock"):
        assert cli.run([command, str(tmp_path / "empty")]) == 3
        out, err = capsys.readouterr()
        assert out == ""
        assert "error[IB300]" in err


def test_lock_check_has_a_verdict(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["lock", str(app), "--check", "-q"]) == 1
    assert capsys.readouterr() == ("there are no pins for linux/amd64\n", "")
    assert cli.run(["lock", str(app), "--check", "-q", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["fits"] is False


def test_an_image_that_is_not_there_cannot_be_inspected(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", "archive:nowhere.tar"]) == 2
    assert "error[IB655]" in capsys.readouterr().err


@pytest.fixture
def image(tmp_path: Path) -> str:
    made = images.small(tmp_path / "store")
    layout.write_layout(made.image, made.store, tmp_path / "shop.oci", names=["latest"])
    return f"oci:{tmp_path}/shop.oci"


def test_inspect_names_digests_apart_and_shows_what_starts(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", image, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["reference"] == f"{image}@{document['manifest_digest']}"
    assert document["config_digest"] != document["manifest_digest"]
    assert cli.run(["inspect", image]) == 0
    out = capsys.readouterr().out
    for shown in (document["manifest_digest"], document["config_digest"], document["layers"][0]["digest"], "gunicorn"):
        assert shown in out


def test_inspect_shows_layers_and_files_alone(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", image, "--layers", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["layers"]
    assert all(layer["diff_id"].startswith("sha256:") for layer in document["layers"])
    assert cli.run(["inspect", image, "--files"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["0777", "0:0", "0", "B", "bin", "usr/bin"] in rows
    assert ["0644", "0:0", "3", "B", "workspace/greeting"] in rows


def test_the_cache_is_shown_pruned_and_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(tmp_path / "cache")
    for action, result in {
        "info": {"blobs": 0, "cache": place, "results": 0, "size": 0},
        "prune": {"cache": place, "freed": 0},
        "verify": {"cache": place, "damaged": []},
    }.items():
        assert cli.run(["cache", action, "--cache-dir", place, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == result
    assert cli.run(["cache", "prume", "--cache-dir", place]) == 2
    assert "did you mean `prune`?" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "code"), [("500MB", 0), ("10 GB", 0), ("0", 0), ("ten", 2), ("-1", 2), ("1.5 GB", 2)])
def test_a_size_is_a_number_and_a_unit(size: str, code: int, tmp_path: Path) -> None:
    assert cli.run(["cache", "prune", f"--keep={size}", "--cache-dir", str(tmp_path)]) == code


def test_explain_prints_a_page_or_all_titles(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", "IB001"]) == 0
    assert capsys.readouterr().out.startswith("# IB001: a bug in imagebuilder\n")
    assert cli.run(["explain"]) == 0
    assert "IB100: the command line was not understood\n" in capsys.readouterr().out


def test_the_schema_accepts_what_the_program_accepts(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    good = tomli.loads('format = 1\npython = "3.13"\npackages = ["x"]\nrequirements = "r.txt"\nenv = { A = "1" }\n')
    jsonschema.validate(good, schema)
    for bad in ({"pyton": "3"}, {"python": 3.13}, {"platform": "linux/s390x"}, {"packages": "x"}, {"env": {"A": 1}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
    assert set(schema["properties"]) == {"format", *(option.key for option in OPTIONS if option.file)}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_valid_and_knows_every_command_and_flag(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    for command in COMMANDS:
        assert command in script
        for option in options_of(command):
            assert option.key in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_bash_completes_flags_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["completion", "bash"])
    script = capsys.readouterr().out + (
        'COMP_WORDS=(imagebuilder lock --up); COMP_CWORD=2; _imagebuilder; echo "${COMPREPLY[@]}"\n'
        'COMP_WORDS=(imagebuilder pl); COMP_CWORD=1; _imagebuilder; echo "${COMPREPLY[@]}"\n'
    )
    ran = subprocess.run(["bash"], input=script, text=True, capture_output=True, check=True)
    assert ran.stdout.split() == ["--upgrade", "plan"]


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completion", "bsh"]) == 2
    assert "error[IB101]" in capsys.readouterr().err


OUTCOME = BuildOutcome(
    name="shop",
    platform=Platform("linux", "amd64"),
    manifest_digest=Digest(f"sha256:{'a' * 64}"),
    config_digest=Digest(f"sha256:{'b' * 64}"),
    layers=(LayerOutcome("app", Digest.of(b"1"), Digest.of(b"2"), 3, cached=False),),
    outputs=("oci:dist/shop.oci",),
)


def build(app: Path, *flags: str) -> int:
    """Run `build` with a builder that has made OUTCOME."""

    def command(chosen: Chosen, console: Console) -> int:
        commands.publish(OUTCOME, config.load(chosen).request, console, seconds=1)
        return 0

    return cli.run(["build", str(app), *flags], commands={"build": command})


def test_the_result_of_a_build_is_one_line(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(app) == 0
    out, err = capsys.readouterr()
    assert out == f"oci:dist/shop.oci@sha256:{'a' * 64}\n"
    assert err.startswith("  done        3 B in 1 layers, 0 cached, linux/amd64  1.0 s\n  config      sha256:bbbb")
    assert build(app, "-q") == 0
    assert capsys.readouterr() == (out, "")


def test_the_result_of_a_build_as_json_is_one_document(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(app, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(OUTCOME.to_json()))


def test_digest_and_metadata_go_to_files(app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(app, "--digest-file", f"{tmp_path}/d", "--metadata-file", f"{tmp_path}/m", "--json") == 0
    assert (tmp_path / "d").read_text() == f"sha256:{'a' * 64}\n"
    assert (tmp_path / "m").read_text() == capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_an_error(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(app, "--digest-file", "/nowhere/d") == 7
    out, err = capsys.readouterr()
    assert out == ""
    assert "error[IB601]" in err


def test_github_actions_gets_the_outputs_of_a_build(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", f"{tmp_path}/output")
    assert build(app) == 0
    assert f"ref={capsys.readouterr().out}" in (tmp_path / "output").read_text()
