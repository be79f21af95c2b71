"""Proxies: which one, if any, is asked for an address, as curl and Python read the environment."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """Return the address of the proxy; empty for none."""
    parts = urlsplit(url)
    host, place = parts.hostname or "", parts.netloc.rpartition("@")[2].lower()
    left_out = environment.get("no_proxy") or environment.get("NO_PROXY", "")
    if any(_is_meant(name.strip().lower(), host, place) for name in left_out.split(",")):
        return ""
    found = _variable(f"{parts.scheme}_proxy", environment) or _variable("all_proxy", environment)
    return found if "://" in found or not found else f"http://{found}"


def _variable(name: str, environment: Mapping[str, str]) -> str:
    """Look up a variable; an empty one in small letters switches off the one in capitals."""
    return environment.get(name, environment.get(name.upper(), ""))


def _is_meant(name: str, host: str, place: str) -> bool:
    """Say whether a part of NO_PROXY means a host: all, a domain or address with or without a port, or a network."""
    bare = name.lstrip(".")
    if not bare or bare == "*":
        return bool(bare)
    return any(each == bare or each.endswith(f".{bare}") for each in (host, place)) or _is_in(host, bare)


def _is_in(host: str, network: str) -> bool:
    try:
        return "/" in network and ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
