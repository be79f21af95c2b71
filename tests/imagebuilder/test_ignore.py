from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagebuilder import ignore
from imagebuilder.ignore import Ignore, LeftOut, Rule
from layers import tree
from layers.errors import UsageError
from tests import apps


def kept(root: Path, files: str, rules: str = "", *, file: str = ".dockerignore") -> list[str]:
    """Return which of some files would go into the image; `|` stands for the end of a line."""
    apps.make(root, dict.fromkeys(files.split(), ""))
    if rules:
        (root / file).write_text(rules.replace("|", "\n"))
    found = tree.list_files(root, ignored=ignore.read(root))
    return [path for path in found if path != file]


SECRETS = (
    ".env .env.local app/.envrc .netrc .pypirc .git-credentials .pgpass .kube/config tls/app.pfx "
    "certs/ca.pem tls/server.key id_rsa .ssh/id_ed25519 .aws/credentials"
)
REST = (
    ".git/HEAD .venv/bin/python venv/x node_modules/x web/node_modules/y .mypy_cache/x .tox/x a.egg-info/PKG-INFO "
    "build/lib/x dist/x.whl imagebuilder.lock .idea/x .DS_Store a/__pycache__/x.pyc .coverage .cache/x"
)


def test_secrets_caches_and_outputs_are_left_out_by_default(tmp_path: Path) -> None:
    sources = "app.py app/build/x.py app/dist/y.js app/id_numbers.py environment.py keys.py"
    assert kept(tmp_path, f"{SECRETS} {REST} {sources}") == sorted(sources.split())


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("docs", "a.py pkg/docs/y tests/t.py"),
        ("/docs/", "a.py pkg/docs/y tests/t.py"),
        ("./docs/../docs", "a.py pkg/docs/y tests/t.py"),
        ("**/docs", "a.py tests/t.py"),
        ("# a.py||  tests  ", "a.py docs/x pkg/docs/y"),
        ("*|!docs", "docs/x"),
        ("docs/*|!docs/x", "a.py docs/x pkg/docs/y tests/t.py"),
        ("!docs|docs", "a.py pkg/docs/y tests/t.py"),
        ("**|! pkg/docs/y", "pkg/docs/y"),
        ("**|!pkg|pkg/docs", ""),
        ("*.py|*/*.py|!**/t.py", "docs/x pkg/docs/y tests/t.py"),
    ],
)
def test_the_rules_of_an_ignore_file_apply_in_their_order(tmp_path: Path, rules: str, expected: str) -> None:
    assert kept(tmp_path, "a.py docs/x pkg/docs/y tests/t.py", rules) == expected.split()


def test_our_own_ignore_file_stands_in_for_dockers(tmp_path: Path) -> None:
    (tmp_path / ".imagebuilderignore").write_text("b\n")
    assert kept(tmp_path, "a b", "a") == [".imagebuilderignore", "a"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("!.env", ".env"),
        ("!app/.env", "app/.env"),
        ("!**/.env", ".env app/.env"),
        ("!.env*", ".env"),
        ("!certs/*.pem", "certs/ca.pem"),
        ("!**/*.pem", "certs/ca.pem"),
        ("!build", "build/keep build/x"),
        ("!build/keep", "build/keep"),
        ("!build/**", "build/keep build/x"),
        ("!.venv|.venv/lib", ""),
    ],
)
def test_an_exception_that_names_it_brings_back_what_is_left_out_by_default(
    tmp_path: Path, rules: str, expected: str
) -> None:
    files = ".env app/.env certs/ca.pem build/keep build/x .venv/lib/x.py"
    assert kept(tmp_path, files, rules) == expected.split()


@pytest.mark.parametrize("rules", ["*|!app", "*|!app/**", "**|!**", "**|!app/*", "**|!**/*.py|!app/code.py", "*|!a*"])
def test_an_exception_for_a_folder_does_not_bring_its_secrets_along(tmp_path: Path, rules: str) -> None:
    files = "app/code.py app/.env app/.venv/lib/x.py app/server.key"
    assert kept(tmp_path, files, rules) == ["app/code.py"]


def test_a_pem_in_a_left_out_folder_stays_there_when_others_come_back(tmp_path: Path) -> None:
    assert kept(tmp_path, "ca.pem .venv/certifi/cacert.pem", "!**/*.pem") == ["ca.pem"]


def test_what_the_build_writes_is_left_out(tmp_path: Path) -> None:
    apps.make(tmp_path, dict.fromkeys(["out.tar", "images/[1].oci/index.json", "images/1.oci/x", "a.py"], ""))
    rules = ignore.read(tmp_path, written=("out.tar", "images/[1].oci"))
    assert tree.list_files(tmp_path, ignored=rules) == ("a.py", "images/1.oci/x")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('exclude = ["b", "/c/d", "*.txt"]', "a.py c/e"),
        ('exclude = ["c/", "!c/e"]', "a.py b/f c/e x.txt"),
        ('include = ["a.py", "c/", "!c/b"]', "a.py c/d c/e"),
    ],
)
def test_a_project_descriptor_includes_or_excludes(tmp_path: Path, table: str, expected: str) -> None:
    project = f"[_]\nschema-version = '0.2'\n[io.buildpacks]\n{table}\n"
    found = kept(tmp_path, "a.py b/f c/b c/d c/e x.txt", project, file="project.toml")
    assert found == expected.split()


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        (".dockerignore", "a\n[b\n", "malformed pattern in .dockerignore: '[b'"),
        (".dockerignore", "[z-a]", "malformed pattern in .dockerignore: '[z-a]'"),
        (".imagebuilderignore", "!", "an exception without a pattern in .imagebuilderignore: '!'"),
        (
            "project.toml",
            "[io.buildpacks]\ninclude = ['a']\nexclude = ['b']",
            "project.toml has both include and exclude",
        ),
        ("project.toml", "[io.buildpacks]\nexclude = 'b'", "exclude in project.toml is not a list of texts"),
    ],
)
def test_malformed_rules_are_errors(tmp_path: Path, file: str, text: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        ignore.read(apps.make(tmp_path, {file: text}).root)
    assert (caught.value.code, caught.value.exit_code, caught.value.message) == ("IB306", 2, what)


def test_left_out_names_each_thing_once_with_its_rule(tmp_path: Path) -> None:
    files = ".git/HEAD .git/config a.py docs/x docs/keep .env"
    apps.make(tmp_path, {**dict.fromkeys(files.split(), ""), ".dockerignore": "docs\n!docs/keep\n"})
    assert ignore.left_out(tmp_path, ignore.read(tmp_path)) == (
        LeftOut(".env", "**/.env*", "default"),
        LeftOut(".git/", "**/.git", "default"),
        LeftOut("docs", "docs", ".dockerignore"),
        LeftOut("docs/x", "docs", ".dockerignore"),
    )


names = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)
patterns = st.lists(st.sampled_from(["a", "b", "*", "**", "?"]), min_size=1, max_size=3).map("/".join)
rules = st.lists(st.builds(Rule, patterns, st.booleans(), st.just("test")), max_size=5)


@given(rules, st.lists(names, max_size=8))
@example([Rule("**/b/a", exception=True, origin="test")], ["b/a"])
@example([Rule("b/*", exception=True, origin="test"), Rule("**/b/a", exception=True, origin="test")], ["b/b/a"])
def test_leaving_out_folders_unseen_never_leaves_out_what_should_be_kept(listed: list[Rule], paths: list[str]) -> None:
    ignored = Ignore((Rule("**/b", exception=False, origin="default"),), tuple(listed))
    for path in paths:
        folders = [path[:index] for index, letter in enumerate(path) if letter == "/"]
        if not ignored(path):
            assert not any(ignored(folder + "/") for folder in folders)
