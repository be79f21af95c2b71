"""Requirement files: includes, hashes, addresses, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildpacks import requirements
from buildpacks.api import App
from buildpacks.local import Named
from layers.errors import BuildError
from tests import apps

SHA = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def app(folder: Path, **files: str) -> App:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".txt").write_text(text)
    return App(folder)


def read(folder: Path, text: str) -> requirements.Requirements:
    return requirements.read(app(folder, requirements=text), ("requirements.txt",))


def test_included_files_are_read_relative_to_the_file_that_includes_them(tmp_path: Path) -> None:
    project = app(
        tmp_path,
        requirements="-r deps/base.txt\nflask\n",
        deps__base="-c pins.txt\n--requirement=more.txt\nDjango\n",
        deps__pins="django==5.2\nunused==1\n",
        deps__more="-r ../requirements.txt\nclick",
    )
    found = requirements.read(project, ("requirements.txt",))
    assert found.files == ("requirements.txt", "deps/base.txt", "deps/pins.txt", "deps/more.txt")
    assert found.names == ("click", "django", "flask")


def test_reading_tells_the_lock_which_files_were_looked_at(tmp_path: Path) -> None:
    seen: list[str] = []
    app(tmp_path, requirements="-r more.txt", more="flask")
    requirements.read(App(tmp_path, on_read=seen.append), ("requirements.txt",))
    assert seen == ["requirements.txt", "more.txt"]


def test_comments_continued_lines_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "\ufeff# a comment\n\nflask>=3 # why\nfoo[bar]==1.0 \\\n"
        f"    --hash={SHA} \\\n    --hash {OTHER}\nclick \\\n# ends the line\nlast ; python_version < '4'  \\",
    )
    assert found.names == ("click", "flask", "foo", "last")
    assert found.hashes == {"foo": frozenset({SHA, OTHER})}


def test_a_project_whose_name_looks_like_an_option_is_a_project(tmp_path: Path) -> None:
    assert read(tmp_path, f"mypy-extensions==1.1.0 --hash={SHA}\njupyter-events\n").names == (
        "jupyter-events",
        "mypy-extensions",
    )


def test_hashes_come_from_constraints_and_from_addresses_too(tmp_path: Path) -> None:
    project = app(
        tmp_path,
        requirements=f"-c pins.txt\nfoo\nbar @ https://example.com/bar-1.0-py3-none-any.whl#sha256={'b' * 64}",
        pins=f"foo==1 --hash={SHA}",
    )
    found = requirements.read(project, ("requirements.txt",))
    assert found.hashes == {"foo": frozenset({SHA}), "bar": frozenset({OTHER})}
    assert found.names == ("bar", "foo")


@pytest.mark.parametrize(
    "line",
    [
        "foo-bar @ https://${USER}:${TOKEN}@example.com/a/foo_bar-1.0-py3-none-any.whl",
        "https://${USER}:${TOKEN}@example.com/a/foo_bar-1.0-py3-none-any.whl ; python_version > '3'",
    ],
)
def test_addresses_of_wheels_keep_their_variables_unread(tmp_path: Path, line: str) -> None:
    found = read(tmp_path, line)
    assert found.urls == {"foo-bar": "https://${USER}:${TOKEN}@example.com/a/foo_bar-1.0-py3-none-any.whl"}


def test_options_are_given_as_written_with_the_line_they_stand_in(tmp_path: Path) -> None:
    project = app(
        tmp_path,
        requirements="-i https://${TOKEN}@a.example/simple\n--no-index\n-r x.txt\n",
        x="--find-links=wheels\n",
    )
    found = [(one.name, one.value, one.place) for one in requirements.options(project, ("requirements.txt",))]
    assert found == [
        ("--index-url", "https://${TOKEN}@a.example/simple", "requirements.txt:1"),
        ("--no-index", "", "requirements.txt:2"),
        ("--requirement", "x.txt", "requirements.txt:3"),
        ("--find-links", "wheels", "x.txt:1"),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("-r missing.txt", "IB401"),
        ("-c missing.txt", "IB401"),
        ("flask >= ", "IB402"),
        ("flask flask", "IB402"),
        ("flask[", "IB402"),
        ("--no-such-option", "IB402"),
        ("--index-url", "IB402"),
        ("flask --hash", "IB402"),
        ("flask --upgrade", "IB402"),
        ('--find-links "open', "IB402"),
        ("-e flask", "IB402"),
        ("--editable=hg+https://example.com/x", "IB402"),
        ("./package --global-option=x", "IB403"),
        ("wheels/x-1.0-py3-none-any.whl", "IB403"),
        ("x-1.0.tar.gz", "IB403"),
        ("x @ file:///tmp/x-1.0-py3-none-any.whl", "IB403"),
        ("hg+https://example.com/x", "IB403"),
        ("x @ svn+https://example.com/x@main", "IB403"),
        ("x @ http://example.com/x-1.0.zip", "IB403"),
        (f"x @ https://example.com/x-1.0.zip#sha256={'0' * 64} --hash=sha256:{'1' * 64}", "IB403"),
        ("x @ https://example.com/x-1.0.zip#sha256=0", "IB403"),
        ("x @ https://user:secret@example.com/x-1.0.zip#sha256=" + "0" * 64, "IB403"),
        ("https://example.com/main.zip#sha256=" + "0" * 64, "IB403"),
        ("-r https://example.com/requirements.txt", "IB403"),
        ("x @ https://user:secret@example.com/x-1.0-py3-none-any.whl", "IB403"),
        ("x @ https://${USER}:secret@example.com/x-1.0-py3-none-any.whl", "IB403"),
        ("http://example.com/x-1.0-py3-none-any.whl", "IB403"),
        ("-r ../outside.txt", "IB404"),
        ("-r /etc/passwd", "IB404"),
    ],
)
def test_what_cannot_be_read_or_installed_is_refused_with_its_line(tmp_path: Path, line: str, code: str) -> None:
    with pytest.raises(BuildError) as caught:
        read(tmp_path, f"# first\nclick\n{line}\n")
    assert (caught.value.code, caught.value.exit_code) == (code, 4)
    assert "requirements.txt:3" in caught.value.message
    assert "secret" not in caught.value.message


@given(st.text(st.sampled_from("ab-_.=<>;@#\\ \n'\"[]:/$~!"), max_size=60))
def test_whatever_stands_in_a_file_it_is_read_or_refused_with_a_hint(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("app")
    try:
        found = read(folder, text)
    except BuildError as error:
        assert error.hint
        assert error.code in ("IB401", "IB402", "IB403", "IB404")
    else:
        assert found.files == ("requirements.txt",)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (".", Named("requirements.txt:1", ".")),
        ("-e .[web, ops]", Named("requirements.txt:1", ".", extras=frozenset({"web", "ops"}))),
        ("./libs/till", Named("requirements.txt:1", "./libs/till")),
        ("libs/till/#egg=till", Named("requirements.txt:1", "libs/till/", "till")),
        ("till @ file:libs/till", Named("requirements.txt:1", "libs/till", "till")),
        ("--editable ../till ; os_name == 'nt'", Named("requirements.txt:1", "../till", marker="os_name == 'nt'")),
        ("git+https://example.com/x@v1", Named("requirements.txt:1", "git+https://example.com/x@v1")),
        (
            "-e git+ssh://git@example.com/x.git@main#egg=till&subdirectory=libs/till",
            Named("requirements.txt:1", "git+ssh://git@example.com/x.git@main#subdirectory=libs/till", "till"),
        ),
        (
            "till[card] @ git+https://example.com/x ; python_version > '3'",
            Named(
                "requirements.txt:1",
                "git+https://example.com/x",
                "till",
                frozenset({"card"}),
                "python_version > '3'",
            ),
        ),
    ],
)
def test_folders_and_repositories_are_told_apart(tmp_path: Path, line: str, named: Named) -> None:
    app = apps.make(tmp_path, {"requirements.txt": f"{line}\nflask\n-f ./wheels\n"})
    found = requirements.read(app, ("requirements.txt",))
    assert (found.unpublished, found.names) == ((named,), ("flask",))
    assert requirements.published(app, ("requirements.txt",)) == {"requirements.txt": "flask\n"}


def test_a_folder_cannot_be_a_constraint(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"requirements.txt": "-c constraints.txt\n", "constraints.txt": "./till\n"})
    with pytest.raises(BuildError, match="as a constraint") as caught:
        requirements.read(app, ("requirements.txt",))
    assert caught.value.code == "IB403"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"https://${{TOKEN}}@example.com/Big_Till-1.0.tar.gz#sha256={'a' * 64}", "big-till"),
        (f"Till[card] @ https://${{TOKEN}}@example.com/main.zip#sha256={'a' * 64} ; os_name == 'posix'", "Till"),
        (f"till @ https://${{TOKEN}}@example.com/till.zip --hash=sha256:{'a' * 64}", "till"),
        ("till[card] @ https://${TOKEN}@example.com/till.zip", "till"),
    ],
)
def test_a_source_distribution_at_an_address_is_known_by_its_hash(tmp_path: Path, line: str, name: str) -> None:
    app = apps.make(tmp_path, {"requirements.txt": f"{line}\n"})
    (found,) = requirements.read(app, ("requirements.txt",)).unpublished
    assert (found.name, found.hash) == (name, "sha256:" + "a" * 64 if "sha256" in line else "")
    assert found.address.startswith("https://${TOKEN}@example.com/")
    assert requirements.published(app, ("requirements.txt",)) == {"requirements.txt": ""}
