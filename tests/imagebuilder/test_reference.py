"""References: read as Docker reads them."""

import pytest

from imagebuilder import reference
from layers.errors import UsageError


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("shop", "docker.io/library/shop:latest", "shop:latest"),
        ("team/shop:1.0", "docker.io/team/shop:1.0", "team/shop:1.0"),
        ("docker.io/shop", "docker.io/library/shop:latest", "shop:latest"),
        ("localhost/shop", "localhost/shop:latest", "localhost/shop:latest"),
        ("Host/shop", "Host/shop:latest", "Host/shop:latest"),
        ("registry.example.com:5000/a/b__c/d--e:V_1", *["registry.example.com:5000/a/b__c/d--e:V_1"] * 2),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
    ],
)
def test_a_name_is_completed(text: str, full: str, familiar: str) -> None:
    parsed = reference.parse(text)
    assert (str(parsed), parsed.familiar) == (full, familiar)
    assert reference.parse(full) == reference.parse(familiar) == parsed


@pytest.mark.parametrize(
    "text",
    ["", "Shop", "shop:", "shop:-x", "a//b", "/a", "a/", "a b", "shop@sha256:" + "0" * 64, "a" * 300, "x:" + "y" * 129,
     "-host.example/a", "host.example:port/a", "shop:a:b", "../a", "https://host.example/a"],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an image name") as caught:
        reference.parse(text)
    assert caught.value.code == "IB652"
