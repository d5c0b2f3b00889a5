#!/usr/bin/env python3
"""The whole mesh over HTTP streaming beside llama-server, on one machine, in one run, taking turns.

  paired.py [--clients 1 8 32] [--rounds 2] [--requests 4] [--peers FOLDER] [--out FILE]
  paired.py --prefix [...]     half the prompts share a prefix of 1,000 tokens; prefix hits off and on

Each client asks its next question when its answer has ended: prompts of about 100 tokens, all distinct, 128 tokens out,
ignore_eos, temperature 0. Each client's first request, of 32 tokens, is left out. Both servers run all the time with one
engine and 32 slots; prefix hits and drafts are off. The clients are one process on the same cores: its share is printed.
The figures and every round go to FILE, from which plot.py makes docs/performance.svg and the page's table.
"""

import argparse
import contextlib
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import figures  # noqa: E402
import closed_loop  # noqa: E402
import servers as served  # noqa: E402

OUT_TOKENS = 128
FIRST_TOKENS = 32  # of the answers that are left out
PROMPT_WORDS = 90
PREFIX_WORDS = 1000
FIGURES = [("tokens_per_s", "output tokens/s", 0), ("ttft_ms_p50", "TTFT p50, ms", 0),
           ("ttft_ms_p99", "TTFT p99, ms", 0), ("itl_ms_p50", "ITL p50, ms", 1),
           ("itl_ms_p99", "ITL p99, ms", 1)]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    figures.arguments(parser, "serve.json")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--requests", type=int, default=4, help="a client, the first included")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--prefix", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting of the mesh")
    options = parser.parse_args()
    if options.prefix and options.out == parser.get_default("out"):
        options.out = options.out.with_name("prefix.json")
    if max(options.clients) > served.SLOTS or options.requests < 2:
        parser.error(f"at most {served.SLOTS} clients, at least 2 requests each")
    return options


class Plan:
    """Requests, none of which is ever asked twice."""

    def __init__(self, options):
        self.options, self.asked = options, 0
        self.prefix = closed_loop.prompt(0, PREFIX_WORDS) + ". " if options.prefix else ""

    def requests(self, count, extra):
        """Of `count` clients. With a shared prefix every second request has it."""
        plans = []
        for number in range(count):
            plans.append([])
            for place in range(self.options.requests):
                self.asked += 1
                prefix = self.prefix if (number + place) % 2 == 0 else ""
                text = closed_loop.prompt(self.asked, PROMPT_WORDS, prefix)
                tokens = OUT_TOKENS if place else FIRST_TOKENS
                plans[-1].append(closed_loop.request_bytes(text, tokens, extra))
        return plans


def one_turn(server, count, plan, options):
    plans = plan.requests(count, server.extra)
    with figures.quiet(options.lock), figures.Others(server.pids) as others:
        before = served.cpu_now([server])
        result = closed_loop.run(server.port, plans, OUT_TOKENS)
    result["server_cpu"] = served.cpu_shares([server], before, result["wall_s"])[server.name]
    result["others"] = others.share
    return {"server": server.name, "clients": count, **result}


def run_all(options, hits, versions):
    """Every turn of one setting of the prefix cache."""
    turns, plan = [], Plan(options)
    context = 512 + (PREFIX_WORDS + 256 if options.prefix else 0)
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(served.Aorta(options, hits))]
        if hits and not running[0].can_hit:
            print("prefix hits on: not run, this binary has no engine.prefix_cache")
            return []
        binary = served.LlamaServer.binary(options)
        if binary.exists():
            versions["llama-server"] = figures.version_of(str(binary), "--version")
            running.append(stack.enter_context(served.LlamaServer(options, hits, context)))
        else:
            versions["llama-server"] = f"not run: there is no {binary}: see tests/bench/peers.sh"
        for number in range(options.rounds):
            for count in options.clients:
                for server in running if number % 2 == 0 else running[::-1]:
                    turns.append({"hits": hits, **one_turn(server, count, plan, options)})
                    print(f"round {number + 1}: {turns[-1]}", flush=True)
    return turns


def summary(turns, hits, count):
    """One number of clients: each server's figures, and the ratio of each, larger is better for all."""
    def values(server, key):
        return [t[key] for t in turns
                if (t["hits"], t["clients"], t["server"]) == (hits, count, server)]

    names = sorted({t["server"] for t in turns})
    line = {"name": f"{count} client{'s' * (count > 1)}", "hits": hits,
            "servers": {name: {key: figures.spread(values(name, key)) for key, _, _ in FIGURES}
                        for name in names}, "ratios": {}}
    if len(names) == 2:
        for key, _, _ in FIGURES:
            pairs = zip(values("aorta", key), values("llama-server", key))
            line["ratios"][key] = figures.spread(
                [a / b if key == "tokens_per_s" else b / a for a, b in pairs])
    return line


def report(lines, turns):
    rows = []
    for line in lines:
        for key, name, digits in FIGURES:
            figure = {server: each[key] for server, each in line["servers"].items()}
            rows.append([line["name"] + (", hits" if line["hits"] else ""), name,
                         *(figures.show(figure.get(server), digits)
                           for server in ("aorta", "llama-server")),
                         figures.show(line["ratios"].get(key), 2)])
    said = ["", figures.table(["", "", "aorta", "llama-server", "times as good"], rows), ""]
    for server in sorted({t["server"] for t in turns}):
        own = [t for t in turns if t["server"] == server]
        said.append(
            f'{server}: prompts of {statistics.median(t["prompt_tokens"] for t in own):.0f} tokens; '
            f'cores used by the server {max(t["server_cpu"] for t in own):.2f} and by the clients '
            f'{max(t["client_cpu"] for t in own):.2f} at most; other processes took '
            f'{max(t["others"] for t in own):.1%} of the CPUs at most; '
            f'{sum(t["odd_answers"] for t in own)} answers not of {OUT_TOKENS} events.')
    return said


def main():
    options = parse_arguments()
    versions = {"aorta": figures.version_of(figures.meshes.BINARY, "--version")}
    machine = figures.machine()
    turns = []
    for hits in (False, True) if options.prefix else (False,):
        turns += run_all(options, hits, versions)
    lines = [summary(turns, hits, count) for hits in sorted({t["hits"] for t in turns})
             for count in options.clients]
    figures.save(options.out, {"kind": "prefix" if options.prefix else "serve", "machine": machine,
                               "versions": versions, "model": pathlib.Path(options.model).name,
                               "threads": options.threads, "out_tokens": OUT_TOKENS,
                               "lines": lines, "turns": turns},
                 figures.head(machine, versions) + report(lines, turns))


if __name__ == "__main__":
    main()
