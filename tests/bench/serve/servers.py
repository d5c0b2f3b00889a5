"""The two servers that are compared, each with one engine: start, port, process ids, stop."""

import contextlib
import http.client
import json
import pathlib
import socket
import subprocess
import time

import figures
from figures import meshes

SLOTS = 32


def known_settings():
    """Names of this binary's settings, such as engine.slots."""
    done = subprocess.run([meshes.BINARY, "config", "show"], capture_output=True, text=True,
                          check=True)
    names, section = set(), ""
    for line in done.stdout.splitlines():
        key = line.strip().split(":")[0]
        if not line.strip() or line.strip().startswith("#"):
            continue
        if line.startswith(" "):
            names.add(f"{section}.{key}")
        else:
            section = key
    return names


def engine_settings(threads, hits, drafts=False):
    """Settings of a mesh whose speed is compared. Those that this binary does not have it cannot switch on either."""
    wanted = {"engine.threads": threads, "engine.slots": SLOTS, "engine.blocks": 4096,
              "engine.prefix_cache": str(hits).lower()}
    if not drafts:
        wanted["engine.draft_tokens"] = 0
    known = known_settings()
    return {key: value for key, value in wanted.items() if key in known}


class Aorta:
    """`aorta up`: admission, scheduler, cache, monitor, node agent and one executor."""
    name = "aorta"

    def __init__(self, options, hits):
        self.sets = {**engine_settings(options.threads, hits),
                     "cache.folder": figures.PACKS}
        for setting in options.set:
            key, _, value = setting.partition("=")
            self.sets[key] = value
        self.can_hit = "engine.prefix_cache" in self.sets
        self.mesh = meshes.Mesh(executors=1, model=options.model, sets=self.sets)
        self.extra = {}

    def __enter__(self):
        self.mesh.__enter__()
        self.port = self.mesh.base
        self.pids = [self.mesh.process.pid, *(p["pid"] for p in self.mesh.processes() if p["pid"])]
        return self

    def __exit__(self, *_):
        self.mesh.__exit__()


class LlamaServer:
    """llama-server with a slot for each client, flash attention on."""
    name = "llama-server"
    can_hit = True

    def __init__(self, options, hits, context):
        self.extra = {"cache_prompt": hits}
        with contextlib.closing(socket.socket()) as held:
            held.bind(("127.0.0.1", 0))
            self.port = held.getsockname()[1]
        self.command = [self.binary(options), "-m", options.model, "-np", SLOTS,
                        "-t", options.threads, "-tb", options.threads, "-fa", "on",
                        "-c", SLOTS * context, "--host", "127.0.0.1", "--port", self.port,
                        "--log-disable", *([] if hits else ["--no-cache-prompt", "-cram", 0])]

    @staticmethod
    def binary(options):
        return pathlib.Path(options.peers or ".") / "llama/bin/llama-server"

    def __enter__(self):
        self.process = subprocess.Popen(list(map(str, self.command)), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.pids = [self.process.pid]
        deadline = time.monotonic() + 60
        while self.health() != "ok":
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"llama-server did not start: {self.command}")
            time.sleep(0.1)
        return self

    def health(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return json.loads(connection.getresponse().read()).get("status")
        except OSError:
            return None
        finally:
            connection.close()

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cpu_shares(servers, before, wall):
    """What each server used of the CPUs since `before` (a list as cpu_now gives it), in cores."""
    return {s.name: round((now - then) / wall, 2)
            for s, now, then in zip(servers, cpu_now(servers), before)}


def cpu_now(servers):
    return [sum(map(figures.cpu_seconds, s.pids)) for s in servers]
