"""A program that becomes another one, without the session's keyring (keyctl(2)), which no namespace keeps away.

`python -I -S keyless.py PROGRAM ARGUMENT…`: for bubblewrap, which leaves it as it is. The launcher does so itself.
"""

import ctypes
import os
import signal
import sys

_KEYCTL = {"aarch64": 219, "x86_64": 250}
_JOIN_SESSION_KEYRING = 1

if __name__ == "__main__":
    ctypes.CDLL(None).syscall(_KEYCTL.get(os.uname().machine, -1), _JOIN_SESSION_KEYRING, None)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:  # what is ignored stays so
        signal.signal(number, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 as meant
