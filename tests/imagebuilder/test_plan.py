"""What `plan` says: a document that its schema describes, and a text that fits a terminal."""

import json
from pathlib import Path

import jsonschema
import pytest

from imagebuilder import cli
from imagebuilder.reports import plan_schema
from tests import apps

APPS = {
    "a script": {"main.py": "print()\n"},
    "requirements": {"requirements.txt": "", "app.py": "", "Procfile": "web: python app.py\nworker: python work.py\n"},
    "versions": {"pyproject.toml": '[project]\nname = "a"\nrequires-python = ">=3.11"\n', ".python-version": "3.13\n"},
    "a lock": {
        "pylock.toml": 'lock-version = "1.0"\npackages = []\n',
        "requirements.txt": "",
        "main.py": "",
        ".env": "x",
    },
    "a name that moves the cursor": {
        "main.py": "",
        "pyproject.toml": '[project]\nrequires-python = ">=3.1,\\n!=3.2"\n',
    },
}


def planned(folder: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert cli.run(["plan", str(folder), *flags]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", APPS)
def test_the_document_is_what_its_schema_says(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = apps.make(tmp_path, APPS[name])
    schema = json.loads(json.dumps(plan_schema.schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(planned(app.root, capsys, "--json")), schema)


def test_the_schema_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema", "plan"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(plan_schema.schema()))
    assert cli.run(["schema", "plans"]) == 2
    assert "did you mean `plan`?" in capsys.readouterr().err


@pytest.mark.parametrize("name", APPS)
def test_the_explanation_fits_80_columns(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = planned(apps.make(tmp_path, APPS[name]).root, capsys)
    explanation = text.partition("\nsettings\n")[0].splitlines()
    assert len(explanation) > 5
    assert [line for line in explanation if len(line) > 80 or not line.isprintable()] == []


def test_the_text_says_who_needs_what_and_who_asked_for_the_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = planned(apps.make(tmp_path, APPS["versions"]).root, capsys)
    assert (
        "requirements\n"
        "  cpython: provided by cpython for python-start\n"
        "    version 3.13, says .python-version\n"
        "    version >=3.11, says pyproject.toml requires-python\n"
    ) in text


def test_the_text_says_what_came_of_every_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = planned(apps.make(tmp_path, {"requirements.txt": "", "main.py": ""}).root, capsys)
    assert "passed over: cpython, uv, uv-install, python-start, procfile\n       uv-install: no uv.lock\n" in text
    assert "chosen: cpython, pip, pip-install, python-start, procfile\n       without procfile: no Procfile" in text
    assert "not tried: cpython, python-start, procfile\n" in text


def test_the_document_says_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(
        planned(apps.make(tmp_path, {"requirements.txt": ""}).root, capsys, "--json", "--python", "3.13")
    )
    assert document["requirements"][0] == {
        "name": "cpython",
        "version": "3.13",
        "version_source": "--python",
        "required_by": "cpython",
        "provided_by": "cpython",
        "build": False,
        "launch": False,
    }
    chosen = next(group for group in document["groups"] if group["state"] == "chosen")
    assert [each["id"] for each in document["buildpacks"]] == chosen["buildpacks"][:-1]
    assert chosen["reasons"][0]["buildpack"] == "procfile"
