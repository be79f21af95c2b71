"""What Paketo's users already set."""

import pytest

from buildpacks.api import Setting
from imagebuilder import variables
from imagebuilder.settings import Given
from layers.errors import UsageError


def test_versions_and_requirements_are_options() -> None:
    found = variables.read({"BP_CPYTHON_VERSION": "3.11.*", "BP_PIP_REQUIREMENT": "a.txt  b.txt"}, {})
    assert found.values == {
        "python": Given(("3.11.*",), "BP_CPYTHON_VERSION"),
        "requirements": Given(("a.txt", "b.txt"), "BP_PIP_REQUIREMENT"),
    }


def test_labels_come_from_shell_words_and_from_oci_variables() -> None:
    found = variables.read({"BP_IMAGE_LABELS": 'a=1 b="two words"', "BP_OCI_REF_NAME": "main", "BP_OCI_TITLE": "x"}, {})
    assert {name: setting.value for name, setting in found.labels.items()} == {
        "a": "1",
        "b": "two words",
        "org.opencontainers.image.ref.name": "main",
        "org.opencontainers.image.title": "x",
    }


@pytest.mark.parametrize("labels", ["a", "=1", 'a="1'])
def test_malformed_labels_are_refused(labels: str) -> None:
    with pytest.raises(UsageError) as caught:
        variables.read({"BP_IMAGE_LABELS": labels}, {})
    assert caught.value.code == "IB113"


@pytest.mark.parametrize(
    ("given", "env"),
    [
        ({"BPE_A": "1"}, {"A": "1"}),
        ({"BPE_A": ""}, {"A": ""}),
        ({"BPE_OVERRIDE_A": "1", "BPE_A": "0"}, {"A": "1"}),
        ({"BPE_DEFAULT_A": "1"}, {"A": "1"}),
        ({"BPE_DEFAULT_KNOWN": "1"}, {}),
        ({"BPE_APPEND_KNOWN": "x", "BPE_DELIM_KNOWN": ":"}, {"KNOWN": "k:x"}),
        ({"BPE_PREPEND_KNOWN": "x"}, {"KNOWN": "xk"}),
        ({"BPE_A": "1", "BPE_APPEND_A": "2", "BPE_PREPEND_A": "0", "BPE_DELIM_A": ","}, {"A": "0,1,2"}),
    ],
)
def test_the_environment_of_the_image_is_joined_as_paketo_does(given: dict[str, str], env: dict[str, str]) -> None:
    found = variables.read(given, {"KNOWN": Setting("k", "file")})
    assert {name: setting.value for name, setting in found.env.items()} == env


def test_joining_to_nothing_is_refused_rather_than_hiding_the_value_of_the_base() -> None:
    with pytest.raises(UsageError) as caught:
        variables.read({"BPE_APPEND_PATH": "/x"}, {})
    assert caught.value.code == "IB113"


def test_a_variable_that_does_nothing_here_is_named_and_an_empty_one_is_not_set() -> None:
    found = variables.read({"BP_LIVE_RELOAD_ENABLED": "true", "BP_PIP_VERSION": "", "PATH": "/bin"}, {}, where="f")
    assert found.without_effect == ("BP_LIVE_RELOAD_ENABLED (f)",)
    assert not found.values


def test_what_is_always_so_needs_no_warning() -> None:
    assert not variables.read({"BP_CPYTHON_RM_SETUPTOOLS": "true", "BP_DIRECT_PROCESS": "true"}, {}).without_effect
