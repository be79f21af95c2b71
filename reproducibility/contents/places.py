"""Places: what a file is by its path alone: a log, what a cache left behind, the name of the host."""

from layers.expression import expression

# By where they are, whatever they hold. Nobody needs them in an image.
_LEFT_BEHIND = {
    "log": expression(r"var/log/|.*\.log$"),
    "cache-file": expression(
        r"var/cache/|var/lib/apt/lists/|(?:root|home/[^/]+)/\.(?:cache|npm)/|(?:var/)?tmp/|var/lib/dpkg/[^/]+-old$"
    ),
}
# By where they are, if their contents do not tell more.
_OTHERS = {
    "hostname": expression(r"etc/(?:hostname|hosts|resolv\.conf|mailname)$"),
    "random": expression(
        r"etc/machine-id$|var/lib/dbus/machine-id$|etc/ssh/ssh_host_\w+(?:\.pub)?$|var/lib/systemd/random-seed$"
        r"|etc/ssl/(?:private|certs)/ssl-cert-snakeoil\.(?:key|pem)$"
    ),
    # The cache of the dynamic linker, which every image has, and of others that list what is installed.
    "derived": expression(r"etc/ld\.so\.cache$|.*/(?:giomodule|gschemas|icon-theme|loaders|mime|gconv-modules)\.\w+$"),
    "cache-file": expression(r".*\.(?:cache|lock|swp|tmp)$|.*/\.cache/"),
}


def left_behind(path: str) -> str:
    """Return `log` or `cache-file` for a file that a build should have deleted; nothing for others."""
    return next((cause for cause, pattern in _LEFT_BEHIND.items() if pattern.match(path)), "")


def otherwise(path: str) -> str:
    """Return the cause for a file whose contents do not tell it; nothing if its path does not either."""
    return next((cause for cause, pattern in _OTHERS.items() if pattern.match(path)), "")
