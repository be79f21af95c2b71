"""Logging in to registries: where credentials are found, to whom they go, and how a registry is reached."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oras.auth.utils import parse_auth_header

from imagebuilder import reference
from imagebuilder.registry import addresses, auth, client, credentials
from imagebuilder.registry.client import Repository
from imagebuilder.registry.settings import RegistrySettings
from layers.errors import BuildError, RefusedError, UsageError
from tests import certificates, hostile
from tests.registry import Registry

USERS = {"ann": "se:cret"}


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(users=dict(USERS), scheme="bearer").running() as running:
        running.put_image("team/app", b"layer")
        yield running


def environment(folder: Path, config: object) -> dict[str, str]:
    """Write a docker configuration and return the variables that lead to it and to helpers beside it."""
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:/usr/bin:/bin"}


def login(host: str, user: str = "ann", password: str = "se:cret") -> dict[str, dict[str, dict[str, str]]]:
    return {"auths": {host: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}}


def helper(folder: Path, name: str, script: str) -> None:
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def opened(registry: Registry, variables: dict[str, str], name: str = "team/app", **more: object) -> Repository:
    values = {"insecure": frozenset({registry.address}), "backoff_s": 0.01, "environment": variables, **more}
    settings = RegistrySettings(**values)  # type: ignore[arg-type]  # each test gives values of the right types
    return client.open_repository(reference.parse(f"{registry.address}/{name}"), settings=settings)


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_registry_is_logged_in_to_once(registry: Registry, tmp_path: Path, scheme: str) -> None:
    registry.scheme = "basic" if scheme == "basic" else "bearer"
    with opened(registry, environment(tmp_path, login(registry.address))) as repository:
        for _ in range(3):
            repository.manifest("latest")
    assert len(registry.traffic.requests) == 4 + (scheme == "bearer")
    assert registry.traffic.asked("GET", "/token") == (scheme == "bearer")


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_wrong_password_is_refused_and_its_source_is_named(registry: Registry, tmp_path: Path, scheme: str) -> None:
    registry.scheme = "basic" if scheme == "basic" else "bearer"
    variables = environment(tmp_path, login(registry.address, password="wrong"))
    with opened(registry, variables) as repository, pytest.raises(RefusedError) as caught:
        repository.manifest("latest")
    assert caught.value.code == "IB204"
    assert caught.value.details == (f'tried: user "ann" from {tmp_path}/config.json',)
    assert len(registry.traffic.requests) == 2


def test_who_has_no_credentials_is_told_where_they_were_looked_for(registry: Registry, tmp_path: Path) -> None:
    with opened(registry, environment(tmp_path, {})) as repository, pytest.raises(RefusedError) as caught:
        repository.manifest("latest")
    assert (caught.value.code, caught.value.exit_code) == ("IB204", 5)
    assert caught.value.details == (f"tried: no credentials (none for {registry.address} in {tmp_path}/config.json)",)


def test_who_may_read_may_still_not_push(registry: Registry, tmp_path: Path) -> None:
    registry.read_only.add("team/app")
    with opened(registry, environment(tmp_path, login(registry.address))) as repository:
        repository.manifest("latest")
        with pytest.raises(RefusedError) as caught:
            repository.push_manifest(*repository.manifest("latest"), "1.0")
    assert caught.value.code == "IB205"


def test_an_expired_token_is_replaced(registry: Registry, tmp_path: Path) -> None:
    with opened(registry, environment(tmp_path, login(registry.address))) as repository:
        repository.manifest("latest")
        registry.expire_tokens()
        repository.manifest("latest")
    assert registry.traffic.asked("GET", "/token") == 2


def test_an_identity_token_is_exchanged(registry: Registry, tmp_path: Path) -> None:
    registry.identity_tokens["refresh-me"] = "ann"
    helper(tmp_path, "vault", """echo '{"Username": "<token>", "Secret": "refresh-me"}'""")
    variables = environment(tmp_path, {"credHelpers": {registry.address: "vault"}})
    with opened(registry, variables) as repository:
        repository.manifest("latest")
    assert registry.traffic.asked("POST", "/token") == 1


def test_a_token_server_elsewhere_is_not_told_who_we_are_unless_it_was_named(
    registry: Registry, tmp_path: Path
) -> None:
    made = certificates.make(tmp_path)
    variables = environment(tmp_path, login(registry.address)) | {"SSL_CERT_FILE": str(made.authority)}
    with hostile.thief(certificate=made.server) as thief:
        registry.faults.append(hostile.unless_authorized(hostile.realm(f"{thief.url}/token")))
        for named in (frozenset(), frozenset({thief.address})):
            with opened(registry, variables, token_hosts=named) as repository:
                repository.manifest("latest")  # its token is worth nothing; then the registry names its own server
        assert ["authorization" in one.headers for one in thief.traffic.requests] == [False, True]


WORDS = st.tuples(
    st.sampled_from(["realm", "service", "scope", "error"]), st.text(st.characters(exclude_characters='"\n'))
)


@given(st.sampled_from(["Bearer ", "bearer  "]), st.lists(WORDS), st.sampled_from([",", ", ", " "]))
def test_a_challenge_is_read_as_oras_reads_it(scheme: str, words: list[tuple[str, str]], joint: str) -> None:
    challenge = scheme + joint.join(f'{name}="{value}"' for name, value in words)
    expected = parse_auth_header(challenge)
    assert auth.read_challenge(challenge) == (expected.realm or "", expected.service or "")


def test_a_challenge_as_registries_put_it_takes_no_client_of_another() -> None:
    said = 'Bearer realm="https://auth.example/token",service="it",scope="repository:app:pull,push"'
    code = "import sys; from imagebuilder.registry import auth; print(auth.read_challenge(sys.argv[1]), *sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code, said], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("('https://auth.example/token', 'it') ")
    assert {"oras", "requests"}.isdisjoint(shown.split())


@pytest.mark.parametrize("realm", ["http://127.0.0.2:9/token", "registry of the tests", "https://a:b@127.0.0.2/"])
def test_a_realm_that_is_not_secure_is_asked_nothing(registry: Registry, tmp_path: Path, realm: str) -> None:
    registry.faults.append(hostile.realm(realm))
    variables = environment(tmp_path, login(registry.address))
    with opened(registry, variables) as repository, pytest.raises(RefusedError) as caught:
        repository.manifest("latest")
    assert caught.value.code == "IB209"


def test_credentials_stay_when_a_redirect_leaves(registry: Registry, tmp_path: Path) -> None:
    with hostile.thief() as thief:
        registry.faults.append(hostile.at("GET", "/manifests/", hostile.redirects(f"{thief.url}/elsewhere")))
        variables = environment(tmp_path, login(registry.address))
        with opened(registry, variables) as repository, pytest.raises(RefusedError) as caught:
            repository.manifest("latest")
        assert caught.value.code == "IB210"
        assert ["authorization" in one.headers for one in thief.traffic.requests] == [False]


@pytest.mark.parametrize(
    ("registry_name", "host", "together"),
    [
        ("registry-1.docker.io", "auth.docker.io", True),
        ("registry.gitlab.com", "gitlab.com", True),
        ("registry.shop.co.uk", "auth.shop.co.uk", True),
        ("registry.example.com", "auth.example.org", False),
        ("shop.co.uk", "evil.co.uk", False),
        ("one.azurecr.io", "two.azurecr.io", False),
        ("one.azurecr.io", "one.azurecr.io", True),
        ("127.0.0.1", "127.0.0.1", False),
        ("10.0.0.1", "9.0.0.1", False),
        ("localhost", "localhost", False),
    ],
)
def test_which_hosts_belong_together(registry_name: str, host: str, together: bool) -> None:
    assert addresses.related(registry_name, host) == together


@pytest.mark.parametrize(
    "key", ["quay.example", "https://quay.example", "https://quay.example/v1/", "quay.example/v2/"]
)
def test_an_entry_is_found_however_its_host_is_written(tmp_path: Path, key: str) -> None:
    found = credentials.find("quay.example", environment(tmp_path, login(key)))
    assert (found.user, found.password) == ("ann", "se:cret")
    assert "se:cret" not in repr(found)


@pytest.mark.parametrize("key", ["quay.example:5000", "quay.example/team", "https://evil.example/quay.example/"])
def test_an_entry_for_something_else_is_not_used(tmp_path: Path, key: str) -> None:
    assert credentials.find("quay.example", environment(tmp_path, login(key))).empty


def test_docker_hub_is_known_by_the_key_that_docker_uses(tmp_path: Path) -> None:
    variables = environment(tmp_path, login("https://index.docker.io/v1/"))
    assert credentials.find(reference.parse("app").registry, variables).user == "ann"


def test_the_home_is_looked_at_only_without_docker_config(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(login("quay.example")))
    assert credentials.find("quay.example", {"HOME": str(tmp_path)}).user == "ann"
    assert credentials.find("quay.example", {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}).empty
    assert credentials.find("quay.example", {}).empty


def test_a_helper_is_asked_before_the_store_and_the_store_before_the_file(tmp_path: Path) -> None:
    helper(tmp_path, "one", """echo '{"Username": "helped", "Secret": "'$(cat)'"}'""")
    helper(tmp_path, "all", """echo '{"Username": "stored", "Secret": "x"}'""")
    config = {**login("quay.example"), "credsStore": "all", "credHelpers": {"ghcr.example": "one"}}
    variables = environment(tmp_path, config)
    found = credentials.find("ghcr.example", variables)
    assert (found.user, found.password) == ("helped", "ghcr.example")
    assert credentials.find("quay.example", variables).user == "stored"


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo credentials not found; exit 1", "has none"), ("exit 3", "exit code 3"), ("echo hm", "as helpers do"),
     ("", "as helpers do"), (None, "not on PATH")],
)  # fmt: skip
def test_a_broken_helper_is_named_and_the_file_is_used(tmp_path: Path, script: str | None, said: str) -> None:
    if script is not None:
        helper(tmp_path, "vault", script)
    variables = environment(tmp_path, {**login("quay.example"), "credsStore": "vault"})
    assert credentials.find("quay.example", variables).user == "ann"
    assert said in credentials.find("ghcr.example", variables).source


@pytest.mark.parametrize("config", ["{", "[]", {"auths": {"quay.example": {"auth": "se:cret"}}}])
def test_a_configuration_that_cannot_be_read_is_an_error_without_secrets(tmp_path: Path, config: object) -> None:
    with pytest.raises(UsageError) as caught:
        credentials.find("quay.example", environment(tmp_path, config))
    assert caught.value.code == "IB207"
    assert "se:cret" not in caught.value.message


def test_tls_needs_an_authority_that_vouches(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    with Registry(certificate=made.server).running() as registry:
        registry.put_image("team/app", b"layer")
        name = reference.parse(f"{registry.address}/team/app")
        with client.open_repository(name, settings=RegistrySettings({"SSL_CERT_FILE": str(made.authority)})) as known:
            assert known.head("latest")
        with (
            client.open_repository(name, settings=RegistrySettings()) as unknown,
            pytest.raises(RefusedError) as caught,
        ):
            unknown.head("latest")
        assert caught.value.code == "IB202"
        with opened(registry, {}) as plain, pytest.raises(UsageError) as mismatch:
            plain.manifest("latest")
        assert mismatch.value.code == "IB203"


def test_plain_http_is_spoken_on_loopback_and_elsewhere_only_if_told() -> None:
    with Registry().running() as registry:
        registry.put_image("team/app", b"layer")
        name = reference.parse(f"{registry.address}/team/app")
        with client.open_repository(name, settings=RegistrySettings()) as repository:
            assert repository.head("latest")
        elsewhere = f"0.0.0.0:{registry.port}"  # reaches this machine, and is not one of its loopback addresses
        name = reference.parse(f"{elsewhere}/team/app")
        with client.open_repository(name, settings=RegistrySettings()) as strict, pytest.raises(UsageError) as caught:
            strict.head("latest")
        assert caught.value.code == "IB203"
        told = RegistrySettings(insecure=frozenset({elsewhere}))
        with client.open_repository(name, settings=told) as insecure:
            assert insecure.head("latest")


@pytest.mark.parametrize(
    "variables", [{"SSL_CERT_FILE": "/does/not/exist"}, {"SSL_CERT_FILE": "/dev/null"}, {"https_proxy": "ftp://host:1"}]
)
def test_a_setting_that_cannot_be_used_is_an_error(variables: dict[str, str]) -> None:
    name = reference.parse("registry.example.com/team/app")
    with (
        client.open_repository(name, settings=RegistrySettings(variables)) as repository,
        pytest.raises(UsageError) as caught,
    ):
        repository.head("latest")
    assert caught.value.code == "IB208"


def test_authorities_are_read_once(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    with Registry(certificate=made.server).running() as registry:
        registry.put_image("team/app", b"layer")
        name = reference.parse(f"{registry.address}/team/app")
        settings = RegistrySettings({"SSL_CERT_FILE": str(made.authority)})
        with client.open_repository(name, settings=settings) as repository:
            assert repository.head("latest")
        made.authority.unlink()
        with client.open_repository(name, settings=settings) as another:
            assert another.head("latest")


def test_no_authorities_are_read_for_plain_http() -> None:
    with Registry().running() as registry:
        registry.put_image("team/app", b"layer")
        settings = RegistrySettings({"SSL_CERT_FILE": "/does/not/exist"}, insecure=frozenset({registry.address}))
        with client.open_repository(reference.parse(f"{registry.address}/team/app"), settings=settings) as repository:
            assert repository.head("latest")


def test_a_proxy_is_asked_for_what_is_not_left_out() -> None:
    with Registry().running() as proxy:
        name = reference.parse("registry.example.com/team/app")
        variables = {"http_proxy": f"http://ann:secret@{proxy.address}"}
        insecure = frozenset({"registry.example.com"})
        with client.open_repository(name, settings=RegistrySettings(variables, insecure)) as repository:
            assert repository.head("latest") is None
        assert proxy.traffic.requests[0].target.startswith("http://registry.example.com/v2/team/app/")
        assert proxy.traffic.requests[0].headers["proxy-authorization"].startswith("Basic ")


def test_a_host_that_is_not_there_is_given_up() -> None:
    name = reference.parse("127.0.0.1:9/team/app")
    settings = RegistrySettings(backoff_s=0.01)
    with client.open_repository(name, settings=settings) as repository, pytest.raises(BuildError) as caught:
        repository.head("latest")
    assert (caught.value.code, caught.value.exit_code) == ("IB201", 75)
    assert caught.value.message == "cannot reach 127.0.0.1:9: the connection is refused"


@pytest.mark.parametrize("drips", [hostile.drips(head=True), hostile.stalls()])
def test_an_answer_that_does_not_come_is_not_waited_for(registry: Registry, drips: hostile.Fault) -> None:
    registry.faults.append(drips)
    with opened(registry, {}, timeout_s=0.2) as repository, pytest.raises(BuildError) as caught:
        repository.head("latest")
    assert caught.value.code == "IB201"
