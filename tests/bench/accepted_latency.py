#!/usr/bin/env python3
"""What the journal costs: from `generate` to `accepted` over ZeroMQ, one request after the other and
many at once, for each journal.sync. The engine is the fake one.

    tests/bench/accepted_latency.py [--requests 2000] [--prompt-words 200]
"""

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import mesh as meshes  # noqa: E402
import msgpack  # noqa: E402
import zmq  # noqa: E402


def measure(address, requests, at_once, words):
    """Seconds from each generate to its accepted."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(address)
    body = {"prompt": "word " * words, "max_tokens": 1}
    sent, took, asked, ended = {}, [], 0, 0
    while ended < requests:
        while asked < requests and asked - ended < at_once:
            name = str(asked)
            sent[name] = time.perf_counter()
            socket.send_multipart([b"AOR1", b"generate", msgpack.packb({**body, "id": name})])
            asked += 1
        _, verb, reply = socket.recv_multipart()
        if verb == b"accepted":
            name = msgpack.unpackb(reply)["id"]
            took.append(time.perf_counter() - sent[name])
        elif verb in (b"rejected", b"failed"):
            raise SystemExit(msgpack.unpackb(reply))
        ended += verb == b"done"
    socket.close()
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--prompt-words", type=int, default=200)
    options = parser.parse_args()
    print("journal.sync  at once   p50 ms   p99 ms   max ms")
    for sync in ("none", "process", "disk"):
        with meshes.Mesh(executors=1, sets={"journal.sync": sync}) as mesh:
            measure(mesh.zmq_address, 100, 1, options.prompt_words)
            for at_once in (1, 16):
                took = measure(mesh.zmq_address, options.requests, at_once, options.prompt_words)
                cuts = statistics.quantiles(took, n=100)
                print(f"{sync:12}  {at_once:7}  {cuts[49] * 1e3:7.3f}  {cuts[98] * 1e3:7.3f}  "
                      f"{max(took) * 1e3:7.3f}", flush=True)


if __name__ == "__main__":
    main()
