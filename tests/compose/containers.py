"""A mesh in containers for tests: compose/compose.yaml, driven as an operator does, and asked from
outside by clients that try nothing twice.
"""

import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import msgpack
import zmq

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/compose"
PATIENCE_S = float(os.environ.get("AORTA_TEST_PATIENCE_S", "120"))

sys.path.insert(0, str(ROOT / "tests/integration"))
import mesh as meshes  # noqa: E402  free ports, where the demo model is


class NoEngine(Exception):
    """This host cannot run containers; says why."""


class Engine:
    """Docker's API on whatever engine answers: the host's own, or what engine.sh starts."""

    def __init__(self):
        self.address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        self.started = not self.answers()
        if self.started:
            self.start()
        self.environment = {**os.environ, "DOCKER_HOST": self.address,
                            "CONTAINER_HOST": self.address}
        self.compose = self.find_compose()

    def start(self):
        done = subprocess.run([HERE / "engine.sh", "up"], capture_output=True, text=True)
        if done.returncode == 3:
            raise NoEngine(done.stderr.strip().splitlines()[-1])
        assert done.returncode == 0, done.stderr
        self.address = dict(line.split("=", 1) for line in done.stdout.split())["DOCKER_HOST"]

    def stop(self):
        if self.started:
            subprocess.run([HERE / "engine.sh", "down"], check=True)

    def find_compose(self):
        for command in (["docker", "compose"], ["docker-compose"]):
            if shutil.which(command[0]) and subprocess.run(
                    [*command, "version"], env=self.environment, capture_output=True).returncode == 0:
                return command
        raise NoEngine("neither docker compose nor docker-compose is installed")

    def connect(self):
        url = urllib.parse.urlsplit(self.address)
        connection = http.client.HTTPConnection(url.hostname or "localhost", url.port,
                                                timeout=PATIENCE_S)
        if url.scheme == "unix":
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(PATIENCE_S)
            connection.sock.connect(url.path)
        return connection

    def call(self, method, path):
        connection = self.connect()
        connection.request(method, "/v1.40" + path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status < 300, f"{method} {path}: {answer.status} {body.decode()}"
        return json.loads(body) if body.strip() else None

    def answers(self):
        try:
            self.call("GET", "/version")
            return True
        except OSError:
            return False


class Mesh:
    """A project of its own on free ports. `overlays` are compose files on top."""

    def __init__(self, engine, overlays=(), **variables):
        self.engine = engine
        self.base = meshes.free_port_base()
        files = [ROOT / "compose/compose.yaml", *overlays]
        self.environment = {
            **engine.environment,
            "COMPOSE_PROJECT_NAME": f"aorta-test-{os.getpid()}-{random.randrange(1 << 16):04x}",
            "COMPOSE_FILE": ":".join(map(str, files)), "AORTA_IMAGE": "aorta-test:first",
            "AORTA_BUILD_TARGET": "prebuilt", "EXECUTOR_CPUS": "1", "AORTA_PORT": str(self.base),
            "AORTA_PORT_ZMQ": str(self.base + 1), "AORTA_PORT_METRICS": str(self.base + 2),
            "AORTA_SECRETS": tempfile.mkdtemp(prefix="aorta-secrets-"), **variables}
        self.api_key = None

    def __enter__(self):
        try:
            self.make_keys()
            self.up(1)
            self.aorta("health", "mesh", "--wait", int(PATIENCE_S))
        except BaseException:
            print(self.logs())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.compose("down", "--volumes", "--timeout", "20", check=False)
        shutil.rmtree(self.environment["AORTA_SECRETS"], ignore_errors=True)

    # ── As an operator ───────────────────────────────────────────────────────────────────────
    def run(self, *command, check=True):
        done = subprocess.run([*map(str, command)], env=self.environment, cwd=ROOT,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=10 * PATIENCE_S)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} exited {done.returncode}:\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def compose(self, *arguments, check=True):
        return self.run(*self.engine.compose, *arguments, check=check)

    def make_keys(self):
        done = self.compose("-f", ROOT / "compose/keys.yaml", "run", "--rm", "keys")
        self.api_key = done.stdout.strip().splitlines()[-1]

    def up(self, executors):
        """Returns when so many containers run; `wait_ready` waits for the executors in them."""
        self.compose("up", "-d", "--no-recreate", "--scale", f"executor={executors}")

    def scale(self, executors):
        self.up(executors)
        for container in self.containers("executor"):
            self.wait_ready(container)

    def wait_ready(self, container):
        self.aorta("health", f"node-{container[:12]}", "--wait", int(PATIENCE_S))

    def aorta(self, *arguments, check=True):
        return self.compose("exec", "-T", "monitor", "aorta", *arguments, check=check)

    def containers(self, service):
        return self.compose("ps", "-q", service).stdout.split()

    def logs(self):
        return self.compose("logs", "--no-color", "--tail", "60", check=False).stdout

    def wait_said(self, service, words):
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.compose("logs", "--no-color", service).stdout:
            assert time.monotonic() < deadline, f"{service} never said '{words}':\n{self.logs()}"

    def processes(self):
        return json.loads(self.aorta("ps", "--json").stdout)

    def executors(self):
        return sorted(p["name"] for p in self.processes()
                      if p["service"] == "executor" and p["state"] == "ready")

    def container_of(self, request):
        """The container that a request runs on now: its executors are called by its host name."""
        with self.get(f"/v1/aorta/requests/{request}") as answer:
            executor = json.load(answer)["epochs"][-1]["executor"]
        short = executor.split("-")[1]
        return next(c for c in self.containers("executor") if c.startswith(short))

    def assert_balanced(self):
        audit = json.loads(self.aorta("audit", "--json").stdout)
        left = {key: audit["figures"].get(key, 0) for key in
                ("open", "running", "placed", "queued", "in_flight", "blocks_used")}
        assert not any(left.values()), left

    def figure(self, name):
        """The sum of a metric's samples."""
        with self.get("/metrics", self.base + 2) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines
                   if line.split("{")[0].split(" ")[0] == name)

    def wait_figure(self, name, least):
        deadline = time.monotonic() + PATIENCE_S
        while self.figure(name) < least:
            assert time.monotonic() < deadline, f"{name} is {self.figure(name)}:\n{self.logs()}"
            time.sleep(0.05)

    # ── As clients that try nothing twice ────────────────────────────────────────────────────
    def get(self, path, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.base, timeout=PATIENCE_S)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.api_key}"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer

    def ask_zmq(self, question, seed, max_tokens, seen=lambda request, count: None):
        """(ids, text, finish reason) of an answer, by bare frames."""
        socket_ = zmq.Context.instance().socket(zmq.DEALER)
        socket_.linger, socket_.rcvtimeo = 0, int(PATIENCE_S * 1000)
        socket_.connect(f"tcp://127.0.0.1:{self.base + 1}")
        body = {"messages": [{"role": "user", "content": question}], "seed": seed,
                "max_tokens": max_tokens, "api_key": self.api_key}
        socket_.send_multipart([b"AOR1", b"generate", msgpack.packb(body)])
        ids, text = [], ""
        try:
            while True:
                _, verb, body = socket_.recv_multipart()
                body = msgpack.unpackb(body)
                if verb == b"tokens":
                    assert body["index"] == len(ids), "a gap or a duplicate"
                    ids += body["ids"]
                    text += body["text"]
                    seen(body["request"], len(ids))
                elif verb == b"done":
                    return ids, text, body["finish_reason"]
                else:
                    assert verb in (b"accepted", b"waiting"), (verb, body)
        finally:
            socket_.close()

    def ask_http(self, question, seed, max_tokens, seen=lambda request, count: None):
        """(text, finish reason, usage) of an answer, by HTTP's server-sent events."""
        connection = http.client.HTTPConnection("127.0.0.1", self.base, timeout=PATIENCE_S)
        body = {"messages": [{"role": "user", "content": question}], "seed": seed, "stream": True,
                "max_tokens": max_tokens, "stream_options": {"include_usage": True}}
        connection.request("POST", "/v1/chat/completions", json.dumps(body),
                           {"Content-Type": "application/json",
                            "Authorization": f"Bearer {self.api_key}"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        text, finish, tokens, count = "", None, None, 0
        for line in answer:
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]\n":
                connection.close()
                return text, finish, tokens
            chunk = json.loads(line[6:])
            assert "error" not in chunk, chunk
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
            for choice in chunk["choices"]:
                text += choice["delta"].get("content") or ""
                finish = choice["finish_reason"] or finish
                count += 1
            seen(chunk["id"].removeprefix("chatcmpl-"), count)
        raise AssertionError(f"the stream broke off after {text!r}")


class Load:
    """Clients that ask all the time, each answer compared with an undisturbed one."""

    QUESTION, TOKENS = "Tell me of the heart.", 150

    def __init__(self, mesh, clients=6):
        self.asks = [(mesh.ask_zmq, seed) if seed % 2 else (mesh.ask_http, seed)
                     for seed in range(clients)]
        self.undisturbed = [self.ask(*each) for each in self.asks]

    def ask(self, ask, seed):
        return ask(self.QUESTION, seed, self.TOKENS)

    def client(self, index):
        while not self.over.is_set() and not self.troubles:
            try:
                answer = self.ask(*self.asks[index])
                assert answer == self.undisturbed[index], "another answer than the undisturbed one"
                self.answered += 1
            except Exception as trouble:  # any: that is what must not happen
                self.troubles.append(f"client {index}: {trouble!r}")

    def __enter__(self):
        self.over, self.answered, self.troubles = threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.client, args=(index,))
                        for index in range(len(self.asks))]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if kind is None:
            assert not self.troubles, self.troubles
            assert self.answered > 0
