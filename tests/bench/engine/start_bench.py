#!/usr/bin/env python3
"""How long `aorta up` takes from exec to ready and to the first token, with a packed model in the
page cache: one process, and a mesh of processes. Prints JSON, in ms.

Usage: start_bench.py [rounds]
AORTA_BINARY names the binary, AORTA_DEMO_MODEL the model.
"""

import http.client
import json
import os
import pathlib
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/integration"))
import mesh  # noqa: E402  ports and the model's place

BODY = json.dumps({"messages": [{"role": "user", "content": "Say hello."}], "stream": True,
                   "max_tokens": 8, "temperature": 0})


def first_token_ms(port, begun):
    """From `begun` to the first event with text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    for line in response:
        if line.startswith(b"data: {"):
            delta = json.loads(line[6:])["choices"][0]["delta"]
            if delta.get("content"):
                return (time.monotonic() - begun) * 1e3
    raise AssertionError("no text came")


def start_once(packs, arguments):
    base = mesh.free_port_base()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="aorta-start-"))
    ready, written = os.pipe()
    command = [mesh.BINARY, "up", "--port-base", str(base), "--executors", "1", "--model",
               mesh.demo_model(), "--set", f"cache.folder={packs}", *arguments,
               "--ready-fd", str(written)]
    with open(folder / "up.log", "wb") as log:
        begun = time.monotonic()
        process = subprocess.Popen(command, env={**os.environ, "XDG_STATE_HOME": str(folder)},
                                   stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   start_new_session=True, pass_fds=[written])
        os.close(written)
        try:
            with os.fdopen(ready, "rb") as pipe:
                if not select.select([pipe], [], [], 60)[0] or pipe.readline() != b"ready\n":
                    raise AssertionError((folder / "up.log").read_text())
            ready_ms = (time.monotonic() - begun) * 1e3
            return ready_ms, first_token_ms(base, begun)
        finally:
            process.terminate()
            process.wait(60)
            shutil.rmtree(folder, ignore_errors=True)


def spread(values):
    values = sorted(values)
    return {"median": round(statistics.median(values), 1), "min": round(values[0], 1),
            "max": round(values[-1], 1)}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    packs = tempfile.mkdtemp(prefix="aorta-packs-")
    try:
        result = {"rounds": rounds, "unit": "ms"}
        for name, arguments in (("one process", ["--one-process"]), ("processes", [])):
            start_once(packs, arguments)  # packs the model, and warms the page cache
            runs = [start_once(packs, arguments) for _ in range(rounds)]
            result[name] = {"ready": spread(r for r, _ in runs),
                            "first token": spread(t for _, t in runs)}
        print(json.dumps(result, indent=1))
    finally:
        shutil.rmtree(packs, ignore_errors=True)


if __name__ == "__main__":
    main()
