"""What every paired benchmark shares: medians with their spread, the machine's name, how much of it others used
meanwhile, a file of results, a table.
"""

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
import mesh as meshes  # noqa: E402

PACKS = ROOT / "build/bench/packs"  # its own: another checkout's may be of another version
INSTRUCTIONS = ("avx2", "avx_vnni", "avx512_vnni", "amx_int8")  # that decide a CPU engine's speed


def arguments(parser, result):
    """The options that all have."""
    parser.add_argument("--model", default=meshes.demo_model(), help="a GGUF file")
    parser.add_argument("--threads", type=int, default=2, help="of each engine")
    parser.add_argument("--peers", default=os.environ.get("AORTA_PEERS", ""),
                        help="folder made by tests/bench/peers.sh; default: $AORTA_PEERS")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench" / result)
    parser.add_argument("--lock", help="a file to hold locked while something is timed, where "
                        "others work on this machine and do the same")


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.replace("\t", "").split(": ", 1) for line in lines if ": " in line)
    flags = fields["flags"].split()
    return {"cpu": f'{fields["model name"]} (family {fields["cpu family"]}, model {fields["model"]})',
            "cores": os.cpu_count(),
            "instructions": [name for name in INSTRUCTIONS if name in flags],
            "missing": [name for name in INSTRUCTIONS if name not in flags],
            "date": datetime.date.today().isoformat()}


def head(machine_facts, versions):
    """The first lines of a report: where it was measured, and what."""
    here, missing = (" ".join(machine_facts[key]) for key in ("instructions", "missing"))
    lines = [f'{machine_facts["date"]}: {machine_facts["cpu"]}, {machine_facts["cores"]} cores, '
             f"{here}" + (f"; not run, for this CPU lacks them: {missing}" if missing else "") + "."]
    return lines + [f"{name}: {version}." for name, version in versions.items()]


def version_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except OSError as error:
        return f"not run: {error}"
    text = (done.stdout + done.stderr).strip()
    return text.splitlines()[0] if text else f"not run: {command[0]} says nothing"


def commit():
    return version_of("git", "-C", str(ROOT), "describe", "--always", "--dirty")


def spread(values):
    """{median, min, max, n} of a list."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "n": len(values)}


def percentile(values, share):
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))]


def show(figure, digits=0):
    """`median (min..max)`; the median alone where there was one round."""
    if figure is None:
        return "not run"
    text = f'{figure["median"]:,.{digits}f}'
    if figure["n"] == 1:
        return text
    return f'{text} ({figure["min"]:,.{digits}f}..{figure["max"]:,.{digits}f})'


def table(head, rows):
    """A Markdown table, aligned so that it reads in a terminal too."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
             for row in cells]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def save(path, result, report):
    """Prints the lines of the report, and keeps them with the result for docs/performance.md."""
    result["report"] = report
    print("\n" + "\n".join(report))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten: {path}")


@contextlib.contextmanager
def quiet(lock):
    """Holds `lock`, if any, so that nobody else who does takes the cores."""
    if not lock:
        yield
        return
    with open(lock, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Others:
    """The share of the machine that processes which are not ours took: `with Others(pids) as others`, then
    others.share. Ours are this process, its children that have ended, and `pids`.
    """

    def __init__(self, pids=()):
        self.pids = pids

    def __enter__(self):
        self.before = self.seconds()
        return self

    def __exit__(self, *_):
        total, busy, own = (after - before for after, before in zip(self.seconds(), self.before))
        self.share = max(0.0, round((busy - own) / max(total, 1e-9), 3))

    def seconds(self):
        tick = os.sysconf("SC_CLK_TCK")
        fields = [int(word) / tick for word in
                  pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        idle = fields[3] + fields[4]
        own = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
                  for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(fields), sum(fields) - idle, own + sum(map(cpu_seconds, self.pids))


def cpu_seconds(pid):
    """What a process and its threads have used so far; 0 when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
