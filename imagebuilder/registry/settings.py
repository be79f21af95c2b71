"""Registry settings: what the user said of registries, and how patient we are with them."""

from collections.abc import Callable, Mapping

from layers.values import dataclass, field

# Bytes that are read and sent at a time.
BLOCK = 1 << 18


def _silent(_text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class RegistrySettings:
    """How registries are reached.

    `environment` gives DOCKER_CONFIG, HOME and PATH (credentials), proxies, SSL_CERT_FILE. `insecure` names hosts, as
    they stand in references, that speak plain http; loopback hosts may without being named (docs/decisions/0061).
    `ca_file` is a file of trusted authorities and replaces SSL_CERT_FILE. `token_hosts` are hosts of token servers that
    may be given credentials although they are not of the registry's domain. `note` is told of each retry.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    insecure: frozenset[str] = frozenset()
    ca_file: str = ""
    token_hosts: frozenset[str] = frozenset()
    note: Callable[[str], object] = _silent
    connect_timeout_s: float = 10.0
    timeout_s: float = 60.0
    backoff_s: float = 0.5
