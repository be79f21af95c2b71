"""Say where everything comes from, and that nothing else is there."""

import ctypes.util
import os
import sqlite3
import ssl
import sys
import sysconfig
from pathlib import Path

import click
import netifaces

print(*sys.version_info[:2], sys.prefix, sys.base_prefix)
print(os.__file__, click.__file__, netifaces.__file__, sysconfig.get_path("purelib"), sep="\n")
print(*(module.__cached__ for module in (sqlite3, click) if Path(module.__cached__).exists()), sep="\n")
print("sqlite", sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0])
print("certificates", len(ssl.create_default_context().get_ca_certs()) > 100)
print("libc", ctypes.CDLL(None).getpid() == os.getpid(), ctypes.util.find_library("c"))
print("other bytecode", any(Path("/layers").rglob("__pycache__")))
print("other Python", Path("/usr/bin/python3").exists() or Path("/usr/lib/python3.13").exists())
