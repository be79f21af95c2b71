"""Look around: what the image gives a program without any dependencies."""

import ctypes.util
import locale
import os
import sqlite3
import ssl
import sys
import zoneinfo

locale.setlocale(locale.LC_ALL, "")
print("python", sys.version.split()[0])
print("user", os.getuid(), os.path.expanduser("~"))
print("encoding", locale.nl_langinfo(locale.CODESET))
print("sqlite", sqlite3.connect(":memory:").execute("select sqlite_version()").fetchone()[0])
print("certificate authorities", ssl.create_default_context().cert_store_stats()["x509_ca"])
print("zone", zoneinfo.ZoneInfo("Europe/Lisbon"))
print("libssl", ctypes.util.find_library("ssl"))
