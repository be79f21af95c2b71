"""The program as `python -m imagebuilder`."""

import sys

from imagebuilder.cli import main

sys.exit(main())
