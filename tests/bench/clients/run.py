#!/usr/bin/env python3
"""Runs a client that others wrote, unmodified, against a mesh, and counts what went wrong.

  run.py CLIENT [--clients 32] [--seconds 60] [--kill] [--venvs FOLDER] [--url URL] [--out FOLDER] [--tokenizer FOLDER]

CLIENT is one of openai, locust, evalscope, aiperf, guidellm, curl. Each Python client is expected in a virtual
environment of its name in FOLDER (README.md beside this file). Without --url a mesh of 2 executors with the demo model
is started, and audited after the run; --kill ends one of its executors with SIGKILL midway. Prints JSON, in which
`moved` is how often an answer went on at another executor, and why; what the client itself printed and wrote goes to
FOLDER/CLIENT[-kill]. Exit code 0: there were requests and no errors.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
import mesh as meshes  # noqa: E402
import tools  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client", choices=sorted(tools.CLIENTS))
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--venvs", type=pathlib.Path, default=pathlib.Path("/tmp/venvs"))
    parser.add_argument("--tokenizer", type=pathlib.Path, default=pathlib.Path("/tmp/tokenizer"),
                        help="for aiperf and guidellm, made by make_tokenizer.py")
    parser.add_argument("--url", help="of a mesh that is up; default: one is started")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("/tmp/aorta-clients"))
    options = parser.parse_args()
    if options.kill and options.url:
        parser.error("--kill ends an executor of the mesh that is started here: leave out --url")
    options.folder = options.out / (options.client + ("-kill" if options.kill else ""))
    return options


def run_client(options, url):
    """(requests, errors)."""
    shutil.rmtree(options.folder, ignore_errors=True)  # an earlier run's figures
    options.folder.mkdir(parents=True)
    client = tools.CLIENTS[options.client]
    done = subprocess.run(client.command(options, url), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, cwd=options.folder,
                          timeout=options.seconds + 300)
    (options.folder / "printed.txt").write_text(done.stdout)
    return client.count(done.stdout, options.folder)


def kill_midway(mesh, seconds, killed):
    def kill():
        killed.append(mesh.kill(mesh.executors()[0])["name"])

    timer = threading.Timer(seconds / 2, kill)
    timer.start()
    return timer


def run_on_own_mesh(options):
    sets = {"engine.threads": 1, "cache.folder": pathlib.Path.home() / ".cache/aorta/packs"}
    with meshes.Mesh(executors=2, model=meshes.demo_model(), sets=sets) as mesh:
        killed = []
        timer = kill_midway(mesh, options.seconds, killed) if options.kill else None
        requests, errors = run_client(options, f"http://127.0.0.1:{mesh.base}")
        if timer:
            timer.join()
            assert killed, "the executor could not be killed"
        mesh.assert_empty()
        return {"requests": requests, "errors": errors, "killed": killed,
                "moved": next(service["epochs_lost"] for service in mesh.audit()["services"]
                              if service["service"] == "admission")}


def main():
    options = parse_arguments()
    if options.url:
        requests, errors = run_client(options, options.url)
        result = {"requests": requests, "errors": errors}
    else:
        result = run_on_own_mesh(options)
    print(json.dumps({"client": options.client, "clients": options.clients,
                      "seconds": options.seconds, **result}))
    return 0 if result["requests"] > 0 and not result["errors"] else 1


if __name__ == "__main__":
    sys.exit(main())
