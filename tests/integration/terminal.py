"""A program on a terminal of its own: what it shows is awaited, what is typed is typed."""

import os
import pty
import re
import select
import subprocess
import time

import mesh as meshes


class Terminal:
    def __init__(self, command, environment):
        self.master, slave = pty.openpty()
        # A session of its own, whose terminal this is: so that Ctrl-C is a key, not a kill.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *map(str, command)], env=environment, stdin=slave,
            stdout=slave, stderr=slave)
        os.close(slave)
        self.shown = ""
        self.seen = 0  # how much of it was awaited already

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.master)  # a hang-up
        self.process.wait(meshes.PATIENCE_S)

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, pattern):
        """Returns the match of a regular expression in what is shown after the last one."""
        deadline = time.monotonic() + meshes.PATIENCE_S
        while not (match := re.compile(pattern, re.S).search(self.shown, self.seen)):
            data = self._read(deadline)
            assert data, f"{pattern!r} never came:\n{self.shown}"
            self.shown += data.decode(errors="replace")
        self.seen = match.end()
        return match

    def exit_code(self):
        """What it ended with."""
        deadline = time.monotonic() + meshes.PATIENCE_S
        while self._read(deadline):
            pass
        return self.process.wait(meshes.PATIENCE_S)

    def _read(self, deadline):
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing more came:\n{self.shown}"
        try:
            return os.read(self.master, 65536)
        except OSError:  # the program has left
            return b""
