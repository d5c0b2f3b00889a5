"""A real mesh for tests: starts `aorta up` on free ports with a state folder of its own, asks the
`aorta` command about it, kills its processes. Waiting is done by blocking calls with deadlines.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("AORTA_BINARY", str(ROOT / "build/release/aorta"))
PATIENCE_S = float(os.environ.get("AORTA_TEST_PATIENCE_S", "60"))
PORTS = 7  # a mesh may use its base port and the six that follow

sys.path.insert(0, str(ROOT / "clients/python"))
import aorta  # noqa: E402  the Python client


def demo_model():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    default = cache + "/aorta/models/SmolLM2-135M-Instruct.Q4_1.gguf"
    return os.environ.get("AORTA_DEMO_MODEL", default)


def free_port_base():
    """A base port with all ports of a mesh free, below those that the kernel hands out."""
    for _ in range(1000):
        base = random.randrange(10000, 32000, 10)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + PORTS):
                    held = stack.enter_context(socket.socket())
                    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    held.bind(("127.0.0.1", port))
                return base
            except OSError:
                continue
    raise RuntimeError("no free ports found")


class Mesh:
    """Use with `with`. `sets` are configuration settings, such as {"engine.fake_step_us": 2000}."""

    def __init__(self, executors=2, model="fake", sets=None, arguments=()):
        self.base = free_port_base()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="aorta-test-"))  # short: ipc has 107 bytes
        self.environment = {**os.environ, "XDG_STATE_HOME": str(self.folder)}
        self.state = self.folder / "aorta" / str(self.base)
        settings = {"cache.folder": self.folder / "packs", **(sets or {})}
        self.command = [BINARY, "up", "--port-base", str(self.base), "--executors", str(executors),
                        "--model", str(model), *arguments]
        for key, value in settings.items():
            self.command += ["--set", f"{key}={value}"]
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ── Its life ─────────────────────────────────────────────────────────────────────────────
    def start(self):
        """Returns when the mesh can answer: `up` writes a line to a pipe of ours then."""
        self.output = open(self.folder / "up.log", "ab")
        ready, written = os.pipe()
        self.process = subprocess.Popen([*self.command, "--ready-fd", str(written)],
                                        env=self.environment, stdout=self.output,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                        start_new_session=True, pass_fds=[written])
        os.close(written)
        with os.fdopen(ready, "rb") as pipe:
            readable, _, _ = select.select([pipe], [], [], PATIENCE_S)
            if not readable or pipe.readline() != b"ready\n":
                raise AssertionError(f"the mesh did not start\n{self.logs()}")

    def stop(self):
        """SIGTERM, as a user's Ctrl-C; returns the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            code = self.process.wait()
        self.process = None
        self.output.close()
        return code

    def logs(self):
        """Everything its processes said, for the message of a failed test."""
        files = [self.folder / "up.log", *sorted((self.state / "logs").glob("*.log"))]
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-4000:]}"
                         for file in files if file.exists())

    # ── The command ──────────────────────────────────────────────────────────────────────────
    def aorta(self, *arguments, check=True, timeout=None):
        """Runs `aorta ARGUMENTS` against this mesh."""
        command = [BINARY, *map(str, arguments), "--port-base", str(self.base)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=timeout or PATIENCE_S + 20)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} exited {done.returncode}:\n"
                                 f"{done.stdout}{done.stderr}\n{self.logs()}")
        return done

    def wait_ready(self, service):
        self.aorta("health", service, "--wait", int(PATIENCE_S))

    def processes(self):
        return json.loads(self.aorta("ps", "--json").stdout)

    def find(self, name):
        return next((p for p in self.processes() if p["name"] == name), None)

    def executors(self):
        return [p["name"] for p in self.processes()
                if p["service"] == "executor" and p["state"] == "ready"]

    def scale(self, executors):
        self.aorta("scale", f"executors={executors}", "--wait", int(PATIENCE_S))

    def audit(self):
        """The audit's figures; fails unless it balances."""
        return json.loads(self.aorta("audit", "--json").stdout)

    def assert_empty(self):
        """Nothing is left of any request: no slot, no block, no token that waits for an ack."""
        figures = self.audit()["figures"]
        left = {key: figures[key] for key in ("open", "held", "running", "placed", "queued",
                                              "in_flight", "blocks_used", "unacked_tokens",
                                              "scheduler_placed", "scheduler_queued")
                if figures.get(key, 0) != 0}
        assert not left, f"left behind: {left}\n{self.logs()}"

    def kill(self, name, number=signal.SIGKILL):
        """Kills a process of this mesh; returns what `ps` said of it before."""
        process = self.find(name)
        assert process and process["pid"], f"{name} does not run: {self.processes()}"
        os.kill(process["pid"], number)
        return process

    def exits_of(self, pid):
        """The causes that the node agent has told of the death of this process."""
        return re.findall(rf"child=\S+ pid={pid} cause=\"?([^\"\n]+?)\"? log=", self.logs())

    def wait_reborn(self, before):
        """Waits until the service that was `before` lives again as a newer incarnation."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.aorta("health", before["name"], "--wait", int(PATIENCE_S))
            after = self.find(before["name"])
            if after and after["incarnation"] > before["incarnation"]:
                return after
        raise AssertionError(f"{before} did not come back\n{self.logs()}")

    # ── Its fronts ───────────────────────────────────────────────────────────────────────────
    @property
    def zmq_address(self):
        return f"tcp://127.0.0.1:{self.base + 1}"

    def client(self, **arguments):
        """A client that retries nothing, unless told otherwise: what it gets, the mesh did."""
        arguments = {"silence_s": PATIENCE_S, "retries": 0, **arguments}
        return aorta.Client(self.zmq_address, **arguments)

    def http(self, method, path, body=None, headers=None, port=0):
        """One HTTP exchange: (status, headers, body as text)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.base + port, timeout=PATIENCE_S)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, dict(answer.headers), text

    def request(self, request_id):
        """What admission knows of a request: its state and epochs."""
        status, _, text = self.http("GET", f"/v1/aorta/requests/{request_id}")
        assert status == 200, text
        return json.loads(text)

    def executor_of(self, request_id):
        return self.request(request_id)["epochs"][-1]["executor"]
