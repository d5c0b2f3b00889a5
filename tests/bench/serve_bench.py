#!/usr/bin/env python3
"""What a mesh costs and how fast it answers, printed as a table: medians, and the least and most of all runs.

  serve_bench.py [--runs N] [--model FILE]

  start     `aorta up` to the first request that could be served, and to the first token
  demo      tokens per second of one client and of 8, with the real model (skipped without it)
  mesh      the mesh's own part, with the fake engine (a step costs next to nothing): per request and per token, in one
            process and in separate ones
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import mesh as meshes  # noqa: E402


def show(name, values, unit):
    print(f"  {name:<52} {statistics.median(values):>10.3f} {unit:<9} "
          f"({min(values):.3f} to {max(values):.3f}, {len(values)} runs)", flush=True)


def answer(mesh, max_tokens, seed=1, question="Tell me about rivers."):
    """(seconds to the first token, seconds in all, tokens)."""
    with mesh.client() as client:
        begun = time.perf_counter()
        first = None
        stream = client.generate(question, max_tokens=max_tokens, seed=seed, ignore_eos=True)
        for _ in stream:
            first = first or time.perf_counter() - begun
        return first, time.perf_counter() - begun, len(stream.ids)


def bench_start(runs, model, name):
    ready, token = [], []
    for _ in range(runs):
        begun = time.perf_counter()
        with meshes.Mesh(executors=2, model=model, sets={"cache.folder": meshes_cache()}) as mesh:
            ready.append((time.perf_counter() - begun) * 1e3)
            answer(mesh, 1)
            token.append((time.perf_counter() - begun) * 1e3)
    show(f"{name}: up to ready (packed, in the page cache)", ready, "ms")
    show(f"{name}: up to the first token", token, "ms")


def meshes_cache():
    return pathlib.Path.home() / ".cache/aorta/packs"


def tokens_per_second(mesh, clients, max_tokens):
    counts = [0] * clients

    def run(number):
        counts[number] = answer(mesh, max_tokens, seed=number)[2]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


def bench_demo(runs, model):
    for executors, threads in ((1, 2), (2, 1)):
        with meshes.Mesh(executors=executors, model=model,
                         sets={"cache.folder": meshes_cache(), "engine.threads": threads}) as mesh:
            answer(mesh, 8)
            name = f"{executors} executor{'s' if executors > 1 else ''} × {threads} threads"
            show(f"{name}: 1 client", [tokens_per_second(mesh, 1, 128) for _ in range(runs)],
                 "tokens/s")
            show(f"{name}: 8 clients", [tokens_per_second(mesh, 8, 128) for _ in range(runs)],
                 "tokens/s")
            show(f"{name}: first token alone", [answer(mesh, 1)[0] * 1e3 for _ in range(runs)],
                 "ms")


def bench_mesh(runs):
    for name, arguments in (("one process", ["--one-process"]), ("separate processes", [])):
        with meshes.Mesh(executors=1, arguments=arguments) as mesh:
            answer(mesh, 8)
            one = [answer(mesh, 1)[1] * 1e6 for _ in range(max(runs * 20, 100))]
            show(f"{name}: a request of one token", one, "µs")
            long = []
            for _ in range(runs):
                _, seconds, tokens = answer(mesh, 2000)
                long.append(seconds / tokens * 1e6)
            show(f"{name}: each further token, one stream", long, "µs")
            show(f"{name}: 8 streams", [tokens_per_second(mesh, 8, 1000) for _ in range(runs)],
                 "tokens/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", default=meshes.demo_model())
    options = parser.parse_args()
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line)
    version = subprocess.run([meshes.BINARY, "--version"], capture_output=True, text=True).stdout
    print(f"{cpu}\n{version}")
    bench_start(options.runs, "fake", "fake engine")
    if pathlib.Path(options.model).exists():
        bench_start(options.runs, options.model, "demo model")
        bench_demo(options.runs, options.model)
    else:
        print(f"  demo model: not run, there is no {options.model}")
    bench_mesh(options.runs)


if __name__ == "__main__":
    main()
