"""`python tether.py PARENT COMMAND...`: becomes COMMAND, which is told to end when PARENT dies, even by kill -9.

A program of its own, as setting this up between fork and exec is not safe in a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != int(parent):  # it died before the line above
            sys.exit("the starting process is gone")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
