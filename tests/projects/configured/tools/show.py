import ctypes
import os
import sys

library = ctypes.CDLL("libpq.so.5")
print(sys.argv[1:], repr(os.environ["GREETING"]), repr(os.environ["EMPTY"]), library.PQlibVersion() >= 170000)
