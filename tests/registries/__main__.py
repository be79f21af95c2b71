"""Write what the registry with TLS of docker-compose.yml is started with into a folder."""

import sys
from pathlib import Path

from tests import registries

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
print(f"trust {registries.write(folder).authority}; log in as {registries.USER!r} with {registries.PASSWORD!r}")
