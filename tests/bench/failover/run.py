#!/usr/bin/env python3
"""What clients see of executors that die, as figures.

  run.py kills [--kills N] [--streams N] [--model fake|FILE]   SIGKILLs one after another; each answer is compared
  run.py drill [--clients N] [--model fake|FILE]               one of two executors killed, started again 10 s later

Exit code 0: nothing was lost, duplicated or different, and the audit was empty.
"""

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "integration")]
import drill  # noqa: E402
import kills  # noqa: E402
import mesh as meshes  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "drill"])
    parser.add_argument("--model", default="fake", help="fake, demo, or a GGUF file")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=60, help="fewer kills, if they take longer")
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--slots", type=int, default=32,
                        help="of each executor: the others must have room for those of one")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=100, help="of each answer")
    parser.add_argument("--prompt-repeats", type=int, default=1)
    parser.add_argument("--step-us", type=int, default=10000, help="of the fake engine")
    parser.add_argument("--rest-s", type=float, default=0.2, help="between recovery and the next kill")
    options = parser.parse_args()
    if options.model == "demo":
        options.model = meshes.demo_model()
    return options


def run_kills(options):
    sets = {"engine.slots": options.slots, "engine.fake_step_us": options.step_us,
            "engine.threads": 1, "log.level": "info"}
    if options.model != "fake":
        sets["cache.folder"] = pathlib.Path.home() / ".cache/aorta/packs"
    with kills.KilledMesh(options.executors, options.model, sets) as mesh:
        killing = kills.Kills(mesh, options)
        killing.run()
        killing.streams.close()
        mesh.wait_ready("executors")
        mesh.assert_empty()
        return killing.report(), not killing.problems


def main():
    options = parse_arguments()
    version = subprocess.run([meshes.BINARY, "--version"], capture_output=True, text=True).stdout
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line)
    print(f"{version.strip()}, {cpu}, model {pathlib.Path(options.model).name}")
    if options.what == "kills":
        lines, good = run_kills(options)
    else:
        lines = drill.run(options)
        good = " 0 failures" in lines[0]
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
