"""Use a member of the workspace, which is installed with what it requires."""

from importlib.metadata import version

import till

print(till.count(1234567), version("till"), till.__file__.startswith("/layers/"))
