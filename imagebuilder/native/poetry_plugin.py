"""Poetry's index in the sandbox: a plugin that serves a folder on loopback. Runs inside, in Poetry's own process.

Poetry takes packages from an index only. Whatever indexes the project names, they all become this one; what the lock
says of hashes Poetry checks as always.
"""

import functools
import http.server
import threading
from typing import TYPE_CHECKING

from poetry.plugins.plugin import Plugin
from poetry.repositories.legacy_repository import LegacyRepository
from poetry.repositories.repository_pool import Priority, RepositoryPool

if TYPE_CHECKING:
    from poetry.poetry import Poetry

FOLDER = "/build/files"


class FolderAsIndex(Plugin):  # type: ignore[misc]  # Poetry is there inside only
    """Puts the folder in the place of all indexes."""

    def activate(self, poetry: "Poetry", _io: object) -> None:
        """Serve as long as the process lasts."""
        serve = functools.partial(_Quiet, directory=FOLDER)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/simple"
        names = [each.name for each in poetry.pool.all_repositories if each.name.lower() != "pypi"]
        pool = RepositoryPool(config=poetry.config)
        for name in names or ["files"]:
            pool.add_repository(LegacyRepository(name, address, disable_cache=True), priority=Priority.PRIMARY)
        poetry.set_pool(pool)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """What is asked for is no news."""
