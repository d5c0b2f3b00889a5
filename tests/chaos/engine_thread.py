"""Stops one thread of a process, its engine, while the others go on: an engine that hangs as its process beats.

By ptrace, whose requests must come from the thread that began it: use in one thread.
"""

import ctypes
import os
import pathlib

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
ANY_THREAD = 0x40000000  # __WALL


def _ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, thread, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace: {os.strerror(number)}")


def engine_thread(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return next(int(task.name) for task in tasks.iterdir()
                if (task / "comm").read_text() == "engine\n")


class StoppedEngine:
    """The engine of process `pid` stands still within the `with` block. PermissionError where ptrace is not allowed."""

    def __init__(self, pid):
        self.thread = engine_thread(pid)

    def __enter__(self):
        _ptrace(SEIZE, self.thread)
        _ptrace(INTERRUPT, self.thread)
        os.waitpid(self.thread, ANY_THREAD)
        return self

    def __exit__(self, *_):
        _ptrace(DETACH, self.thread)
