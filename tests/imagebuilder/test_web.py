"""One address read to its end: logins of netrc files, proxies, certificates, and odd answers."""

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagebuilder import addresses
from imagebuilder.addresses import origin
from imagebuilder.proxies import proxy_for
from imagebuilder.web import Web
from layers.errors import BuildError, RefusedError, TransientError
from tests import certificates, index

CLICK = index.wheel("click")
ROOT = Path(__file__).parent.parent.parent
LOGIN = "machine 127.0.0.1\nlogin ann\npassword canary-8f2c\n"


def read(url: str, environment: Mapping[str, str] | None = None, **settings: str) -> bytes:
    with Web({}, environment=environment or {}, backoff_s=0.001, **settings) as web:  # type: ignore[arg-type]
        return web.get(url, limit=1 << 20)


def file_of(served: index.Index) -> str:
    return f"{served.url.replace('simple', 'files')}/{CLICK.filename}"


@pytest.mark.parametrize(
    ("name", "text"),
    [(".netrc", LOGIN), ("_netrc", LOGIN), ("login", LOGIN), (".netrc", LOGIN.replace("machine 127.0.0.1", "default"))],
)
def test_logins_are_found_in_a_netrc_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    environment = {"HOME": str(tmp_path)} | ({"NETRC": "~/login"} if name == "login" else {})
    with index.serve(CLICK, user="ann:canary-8f2c") as served:
        assert read(file_of(served), environment) == CLICK.content


@pytest.mark.parametrize(
    "text", ["", "machine elsewhere.example.com login ann password canary-8f2c", "login ann", "\0"]
)
def test_a_netrc_file_that_says_nothing_of_a_host_logs_nobody_in_ib702(tmp_path: Path, text: str) -> None:
    (tmp_path / ".netrc").write_text(text)
    with index.serve(CLICK, user="ann:canary-8f2c") as served, pytest.raises(RefusedError) as caught:
        read(file_of(served), {"HOME": str(tmp_path)})
    assert caught.value.code == "IB702"
    assert all("Authorization" not in headers for _, headers in served.seen)


def test_a_login_of_the_address_or_of_its_origin_comes_before_the_netrc_file(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("default login other password wrong")
    environment = {"HOME": str(tmp_path)}
    with index.serve(CLICK, user="ann:canary-8f2c") as served:
        url = file_of(served)
        assert read(url.replace("//", "//ann:canary-8f2c@"), environment) == CLICK.content
        with Web({origin(url): ("ann", "canary-8f2c")}, environment=environment) as web:
            assert web.get(url, limit=1 << 20) == CLICK.content
            assert web.get(url.replace("//", "//ann@"), limit=1 << 20) == CLICK.content


def test_a_login_in_any_letters_is_sent(tmp_path: Path) -> None:
    with index.serve(CLICK, user="ann:пароль") as served:
        assert read(file_of(served).replace("//", "//ann:%D0%BF%D0%B0%D1%80%D0%BE%D0%BB%D1%8C@")) == CLICK.content


def test_a_redirect_may_name_a_login_for_where_it_leads() -> None:
    with index.serve(CLICK, user="ann:canary-8f2c") as target, index.serve(CLICK) as served:
        served.faults["/files/"] = [f"to:{file_of(target).replace('//', '//ann:canary-8f2c@')}"]
        assert read(file_of(served)) == CLICK.content


def test_a_proxy_is_asked_with_its_login_for_what_is_not_left_out() -> None:
    with index.serve(CLICK) as proxy:
        url = f"http://files.example.com/files/{CLICK.filename}#sha256={CLICK.sha256}"
        place = proxy.url.removesuffix("/simple")
        assert read(url, {"HTTP_PROXY": place.replace("//", "//ann:canary@")}) == CLICK.content
        (path, headers), *_ = proxy.seen
        assert path == url.partition("#")[0]
        assert {name.lower(): value for name, value in headers.items()}[
            "proxy-authorization"
        ] == "Basic YW5uOmNhbmFyeQ=="
        assert read(file_of(proxy), {"http_proxy": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.0/8"}) == CLICK.content


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "ftp://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_asked_is_ib701_and_the_hint_names_it(proxy: str) -> None:
    if proxy.startswith("socks") and importlib.util.find_spec("socks"):
        pytest.skip("PySocks is installed")
    with pytest.raises(TransientError, match="proxy") as caught:
        read("http://files.example.com/x", {"all_proxy": proxy})
    assert caught.value.code == "IB701"


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("http://a.example.com/x", {}, ""),
        ("http://a.example.com/x", {"http_proxy": "p:1"}, "http://p:1"),
        ("http://a.example.com/x", {"HTTP_PROXY": "https://p"}, "https://p"),
        ("http://a.example.com/x", {"HTTPS_PROXY": "http://p"}, ""),
        ("https://a.example.com/x", {"HTTPS_PROXY": "http://p", "all_proxy": "http://q"}, "http://p"),
        ("https://a.example.com/x", {"HTTP_PROXY": "http://p", "ALL_PROXY": "http://q"}, "http://q"),
        ("http://a.example.com/x", {"http_proxy": "", "HTTP_PROXY": "http://p"}, ""),
    ],
)
def test_a_proxy_is_named_by_the_scheme_and_small_letters_come_first(
    url: str, environment: Mapping[str, str], proxy: str
) -> None:
    assert proxy_for(url, environment) == proxy


@pytest.mark.parametrize(
    ("place", "left_out", "is_left_out"),
    [
        ("a.example.com", "*", True),
        ("a.example.com", "other.com, example.com", True),
        ("a.example.com", ".Example.COM", True),
        ("A.example.com:8080", "a.example.com", True),
        ("a.example.com:8080", "example.com:8080", True),
        ("a.example.com:8081", "example.com:8080", False),
        ("ann:secret@a.example.com", "a.example.com", True),
        ("an-example.com", "example.com", False),
        ("a.example.com", " ,,", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("a.example.com", "10.0.0.0/8", False),
        ("10.1.2.3", "10.0.0.0/x", False),
        ("[::1]:80", "::1", True),
    ],
)
def test_what_no_proxy_means_is_asked_directly(place: str, left_out: str, *, is_left_out: bool) -> None:
    found = proxy_for(f"http://{place}/x", {"http_proxy": "http://p", "no_proxy": left_out})
    assert found == ("" if is_left_out else "http://p")


def test_authorities_are_a_file_or_a_folder_and_one_without_any_is_ib705(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    folder = tmp_path / "authorities"
    folder.mkdir()
    (folder / "ours.pem").write_bytes(made.authority.read_bytes())
    subprocess.run(["openssl", "rehash", folder], check=True)
    (tmp_path / "none.pem").write_text("nothing\n")
    with index.serve(CLICK, tls=made.server) as served:
        assert read(file_of(served), certificate=str(made.authority)) == CLICK.content
        assert read(file_of(served), certificate=str(folder)) == CLICK.content
        for untrusted in ("", str(tmp_path / "none.pem")):
            with pytest.raises(RefusedError) as caught:
                read(file_of(served), certificate=untrusted)
            assert caught.value.code == "IB705"


def test_a_download_by_plain_http_imports_one_client_and_reads_no_authorities() -> None:
    with index.serve(CLICK) as served:
        program = f"""
import sys
from imagebuilder.web import Web
with Web({{}}, environment={{"HOME": "/does/not/exist"}}) as web:
    web.get({file_of(served)!r}, limit=1 << 20)
print("urllib3" in sys.modules, "requests" in sys.modules, "certifi" in sys.modules)
"""
        ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["True", "False", "False"]


def test_what_is_encoded_unasked_is_decoded() -> None:
    with index.serve(CLICK, faults={"/files/": ["encoded"]}) as served:
        assert read(file_of(served)) == CLICK.content


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/y", "http://:80/y", "ftp://127.0.0.1/y"])
def test_what_cannot_be_asked_is_not_there_ib703(url: str) -> None:
    with pytest.raises(BuildError) as caught:
        read(url)
    assert caught.value.code == "IB703"


@pytest.mark.parametrize(
    "address", ["https://ann:secret@/simple/", "https://ann:secret@index.example/simple/?t=secret"]
)
def test_no_address_is_shown_with_its_login(address: str) -> None:
    assert "secret" not in addresses.host(address) + addresses.shown(address)
    assert addresses.shown(address).endswith("/simple/")
