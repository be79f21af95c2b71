import os
from pathlib import Path

print(os.environ["APP_RELEASE"], Path("/etc/release").read_text().strip())
