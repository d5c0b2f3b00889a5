#!/usr/bin/env python3
"""Our engine and its peers on one machine, in one run, taking turns.

  paired.py [--rounds 3] [--peers FOLDER] [--out FILE]

Each round measures the machine's own limits (reading memory, multiplying in registers), and then, line by line, each
engine in turn, in an order that rotates. Printed are medians and their spread, the ratio of each round's pair, and how
much of the limit ours reaches. The limit is the larger of two times: bytes that a step must read through the read
bandwidth, and its multiply-adds through the multipliers, int8 for the weights, float32 for attention. The figures and
every round go to FILE, of which plot.py makes docs/performance.svg.
"""

import argparse
import dataclasses
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import figures  # noqa: E402
import gguf_facts  # noqa: E402
import peers  # noqa: E402

LINES = [peers.Line("decode", 1), peers.Line("decode", 8), peers.Line("decode", 32),
         peers.Line("prefill", 512), peers.Line("prefill", 2048)]
CALM = 0.03  # the share of the CPUs that other processes may take while something is measured


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    figures.arguments(parser, "engine.json")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--again", type=int, default=2,
                        help="how often a measurement that other processes disturbed is repeated")
    parser.add_argument("--build", default=str(figures.ROOT / "build/release"))
    parser.add_argument("--packs", type=pathlib.Path, default=figures.PACKS)
    return parser.parse_args()


def work(line, facts):
    """(bytes read, int8 and float multiply-adds) that a step of decode, or a whole prompt, cannot do without."""
    if line.mode == "decode":
        seen = line.context + peers.DECODE_STEPS // 2
        return (facts.weight_bytes + line.size * seen * facts.kv_bytes,
                line.size * (facts.layer_macs + facts.head_macs),
                line.size * seen * facts.attention_macs)
    return (facts.weight_bytes + line.size * facts.kv_bytes,
            line.size * facts.layer_macs + facts.head_macs,
            line.size * (line.size + 1) // 2 * facts.attention_macs)


def limit(line, facts, machine):
    """Tokens/s at which this line would run at the machine's limit, and what sets it."""
    read, int8, floats = work(line, facts)
    seconds = {"memory": read / machine[0], "multipliers": int8 / machine[1] + floats / machine[2]}
    bound = max(seconds, key=seconds.get)
    return line.size / seconds[bound], bound


def measure(engine, line, options):
    """(tokens/s, share of the CPUs that others took): again while that is too much, the calmest of all counts."""
    tries = []
    while len(tries) <= options.again and (not tries or tries[-1][1] > CALM):
        process = getattr(engine, "process", None)
        with figures.Others([process.pid] if process else []) as others:
            rate = engine.measure(line)
        tries.append((round(rate, 1), others.share))
    return min(tries, key=lambda each: each[1])


def one_round(number, options, engines, facts):
    """The machine's limits, {line: {engine: tokens/s}}, the limit of each line, and what others took at most."""
    lines, most = {}, 0.0
    with figures.quiet(options.lock):
        machine = engines[0].limits()
        for place, line in enumerate(LINES):
            turn = (number + place) % len(engines)
            got = {e.name: measure(e, line, options) for e in engines[turn:] + engines[:turn]}
            lines[line.name] = {e.name: got[e.name][0] for e in engines}
            most = max([most, *(others for _, others in got.values())])
            print(f"round {number + 1}, {line.name}: {lines[line.name]}, others {most:.1%}",
                  flush=True)
    ours = {line.name: limit(line, facts, machine)[0] for line in LINES}
    return {"read_bytes_per_s": machine[0], "int8_macs_per_s": machine[1],
            "float_macs_per_s": machine[2], "others": most, "lines": lines, "limits": ours}


def summary(line, rounds, engines, facts):
    def rates(name):
        return [each["lines"][line.name][name] for each in rounds]

    ours = rates("aorta")
    machine = [figures.statistics.median(each[key] for each in rounds) for key in
               ("read_bytes_per_s", "int8_macs_per_s", "float_macs_per_s")]
    read, int8, floats = work(line, facts)
    rate, bound = limit(line, facts, machine)
    return {"name": line.name, "unit": "tokens/s",
            "engines": {e.name: figures.spread(rates(e.name)) for e in engines},
            "ratios": {e.name: figures.spread([a / b for a, b in zip(ours, rates(e.name))])
                       for e in engines[1:]},
            "bytes": read, "int8_macs": int8, "float_macs": floats, "bound": bound, "limit": rate,
            "share": figures.spread([a / each["limits"][line.name]
                                     for a, each in zip(ours, rounds)])}


def report(lines, engines, rounds):
    said = []
    for key, unit, scale in (("read_bytes_per_s", "GB/s read", 1e9),
                             ("int8_macs_per_s", "G int8 multiply-adds/s", 1e9),
                             ("float_macs_per_s", "G float multiply-adds/s", 1e9),
                             ("others", "% of the CPUs taken by other processes, at most", .01)):
        figure = figures.spread([each[key] / scale for each in rounds])
        said.append(f"{figures.show(figure, 1)} {unit}")
    head = ["tokens/s", *(e.name for e in engines), *(f"× {e.name}" for e in engines[1:]),
            "MB read", "G multiply-adds", "limit", "set by", "reached"]
    rows = []
    for line in lines:
        rows.append([line["name"], *(figures.show(line["engines"][e.name]) for e in engines),
                     *(figures.show(line["ratios"][e.name], 2) for e in engines[1:]),
                     f'{line["bytes"] / 1e6:,.0f}',
                     f'{line["int8_macs"] / 1e9:.2f} + {line["float_macs"] / 1e9:.2f}',
                     f'{line["limit"]:,.0f}', line["bound"],
                     f'{line["share"]["median"]:.0%}'])
    return [f"{len(rounds)} rounds. The machine: " + ", ".join(said) + ".", "",
            figures.table(head, rows)]


def main():
    options = parse_arguments()
    options.packs.mkdir(parents=True, exist_ok=True)
    facts = gguf_facts.read(options.model)
    engines = [peers.Ours(options), peers.Llama(options), peers.OpenVino(options)]
    if engines[0].absent:
        sys.exit(f"paired.py: {engines[0].absent}")
    absent = {e.name: f"not run: {e.absent}" for e in engines if e.absent}
    engines = [e for e in engines if not e.absent]
    versions = {"aorta": figures.commit(),
                **{e.name: getattr(e, "version", None) or figures.version_of(
                    str(e.folder / "llama-bench"), "--version") for e in engines[1:]}, **absent}
    machine = figures.machine()
    try:
        rounds = [one_round(number, options, engines, facts) for number in range(options.rounds)]
    finally:
        for engine in engines:
            engine.close()
    lines = [summary(line, rounds, engines, facts) for line in LINES]
    figures.save(options.out, {"kind": "engine", "machine": machine, "versions": versions,
                               "model": pathlib.Path(options.model).name,
                               "threads": options.threads, "facts": dataclasses.asdict(facts),
                               "lines": lines, "rounds": rounds},
                 figures.head(machine, versions) + report(lines, engines, rounds))


if __name__ == "__main__":
    main()
