#!/usr/bin/env python3
"""What executors cost beside each other on one machine: speed, memory, growth.

  executors.py [--executors 4] [--rounds 2] [--grow 100000] [--out FILE]

  speed   output tokens/s of 32 clients by 1 executor and by several, each with --threads threads, on the same cores;
          and of one executor with as many clients as each of several has: larger batches are faster by themselves
  memory  RSS and PSS of one executor and of several: PSS divides pages that processes share, as they do the weights
  kv      bytes of KV that a token takes
  growth  RSS of each service before and after many requests, with the fake engine
"""

import argparse
import dataclasses
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "engine")]
import closed_loop  # noqa: E402
import figures  # noqa: E402
import gguf_facts  # noqa: E402
import servers as served  # noqa: E402
from figures import meshes  # noqa: E402

OUT_TOKENS = 128
PROMPT_WORDS = 90
FAKE_TOKENS = 8


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    figures.arguments(parser, "executors.json")
    parser.add_argument("--executors", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clients", type=int, default=served.SLOTS)
    parser.add_argument("--requests", type=int, default=4, help="a client, the first included")
    parser.add_argument("--grow", type=int, default=100_000, help="requests of the fake engine; 0: none")
    return parser.parse_args()


def memory(pid):
    """{rss, pss, shared} in bytes."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    size = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}
    return {"rss": size["Rss"], "pss": size["Pss"],
            "shared": size["Shared_Clean"] + size["Shared_Dirty"]}


def memory_of(mesh, service=None):
    return {p["name"]: memory(p["pid"]) for p in mesh.processes()
            if p["pid"] and service in (None, p["service"])}


def load(mesh, options, seed, clients, tokens=OUT_TOKENS, words=PROMPT_WORDS, requests=None):
    requests = requests or options.requests
    plans = [[closed_loop.request_bytes(
        closed_loop.prompt(seed + client * requests + number, words), tokens, {})
        for number in range(requests)] for client in range(clients)]
    return closed_loop.run(mesh.base, plans, tokens)


def one_speed(options, executors, clients, seed):
    """One mesh: its rate, and the memory of its executors before and after the work."""
    sets = {**served.engine_settings(options.threads, hits=False),
            "cache.folder": figures.PACKS,
            "scheduler.slow_start_ms": 0}
    with meshes.Mesh(executors=executors, model=options.model, sets=sets) as mesh:
        before = memory_of(mesh, "executor")
        pids = [mesh.process.pid, *(p["pid"] for p in mesh.processes() if p["pid"])]
        with figures.quiet(options.lock), figures.Others(pids) as others:
            result = load(mesh, options, seed, clients)
        return {"executors": executors, "clients": clients, **result, "others": others.share, "idle": before,
                "worked": memory_of(mesh, "executor")}


def sums(turns, executors, when):
    """Bytes of all executors together, of one turn."""
    turn = max((t for t in turns if t["executors"] == executors), key=lambda t: t["clients"])
    return {kind: sum(each[kind] for each in turn[when].values()) for kind in ("rss", "pss")}


def growth(options):
    """[{requests, services: {name: rss}}] at fifths of the way. What is remembered of ended requests is bounded
    (admission.retain_requests, scheduler.remember_requests), and full at the first fifth of 100,000.
    """
    per_client = max(2, options.grow // options.clients // 5)
    points = []
    with meshes.Mesh(executors=1, model="fake") as mesh:
        done = 0
        for part in [per_client] * 5:
            load(mesh, options, done + 1, options.clients, FAKE_TOKENS, 8, part)
            done += part * options.clients
            points.append({"requests": done, "services": {
                name: each["rss"] for name, each in memory_of(mesh).items()}})
        mesh.assert_empty()
    return points


def report(result, options):
    one, many, alike = (result["speed"][key] for key in ("1", str(options.executors), "alike"))
    each = options.clients // options.executors
    said = ["", figures.table(["", "1 executor", f"{options.executors} executors"], [
        [f"output tokens/s, {options.clients} clients", figures.show(one), figures.show(many)],
        ["of one executor's", "", f'{result["share"]["median"]:.0%}'],
        [f"output tokens/s, {each} clients", figures.show(alike), ""],
        [f"of one executor's with {each} clients", "", f'{result["share_alike"]["median"]:.0%}'],
        *([f"{kind.upper()} of executors, {when}, MB",
           *(f'{result["memory"][key][when][kind] / 1e6:,.0f}' for key in result["memory"])]
          for kind in ("rss", "pss") for when in ("idle", "worked"))]), "",
        f'KV: {result["kv_bytes"]:,} bytes a token.']
    for point in result["growth"]:
        sizes = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in point["services"].items())
        said.append(f'After {point["requests"]:,} requests, RSS in MB: {sizes}.')
    return said


def main():
    options = parse_arguments()
    versions = {"aorta": figures.version_of(meshes.BINARY, "--version")}
    machine = figures.machine()
    cases = {"1": (1, options.clients), str(options.executors): (options.executors, options.clients),
             "alike": (1, options.clients // options.executors)}
    turns, rates = [], {case: [] for case in cases}
    for number in range(options.rounds):
        for case in list(cases)[::1 if number % 2 == 0 else -1]:
            turns.append(one_speed(options, *cases[case], seed=1 + len(turns) * 1000))
            rates[case].append(turns[-1]["tokens_per_s"])
            print({k: v for k, v in turns[-1].items() if k not in ("idle", "worked")}, flush=True)
    many = rates[str(options.executors)]
    result = {"kind": "executors", "machine": machine, "versions": versions,
              "threads": options.threads,
              "speed": {case: figures.spread(rate) for case, rate in rates.items()},
              "share": figures.spread([b / a for a, b in zip(rates["1"], many)]),
              "share_alike": figures.spread([b / a for a, b in zip(rates["alike"], many)]),
              "memory": {str(n): {when: sums(turns, n, when) for when in ("idle", "worked")}
                         for n in (1, options.executors)},
              "kv_bytes": dataclasses.asdict(gguf_facts.read(options.model))["kv_bytes"],
              "growth": growth(options) if options.grow else [], "turns": turns}
    figures.save(options.out, result, figures.head(machine, versions) + report(result, options))


if __name__ == "__main__":
    main()
