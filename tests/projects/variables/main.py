import os
import sys

names = ("GREETING", "MODE", "PORT", "PYTHONUNBUFFERED")
print({name: os.environ.get(name) for name in names}, sys.argv[1:])
