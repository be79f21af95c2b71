"""A script on its own, with nothing but the standard library."""

import json
import sqlite3
import ssl
import sys
from zoneinfo import ZoneInfo

rows = sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()
trusted = len(ssl.create_default_context().get_ca_certs()) > 100
print(json.dumps([*rows, trusted, ZoneInfo("Europe/Lisbon").key, sys.argv[1:]]))
