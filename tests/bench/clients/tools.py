"""How each client is started, and how what it printed or wrote is counted."""

import dataclasses
import json
import pathlib
import re
from typing import Callable

HERE = pathlib.Path(__file__).resolve().parent
TOKENS = 48


@dataclasses.dataclass
class Client:
    command: Callable  # (options, url) → arguments, to be run in options.folder
    count: Callable  # (what it printed, options.folder) → (requests, errors)


def binary(options, name, program=None):
    return str(options.venvs / name / "bin" / (program or name))


# ── openai: the package under asyncio, streaming and not ────────────────────────────────────────
def openai_command(options, url):
    return [binary(options, "openai", "python"), str(HERE / "openai_client.py"), url + "/v1",
            "--clients", str(options.clients), "--seconds", str(options.seconds)]


def openai_count(printed, _):
    totals = json.loads(printed.splitlines()[-1])
    return totals["requests"], totals["errors"]


# ── locust: POST /v1/inference ──────────────────────────────────────────────────────────────────
def locust_command(options, url):
    return [binary(options, "locust"), "--headless", "--locustfile", str(HERE / "locustfile.py"),
            "--host", url, "--users", str(options.clients), "--spawn-rate", str(options.clients),
            "--run-time", f"{options.seconds}s", "--stop-timeout", "60", "--only-summary"]


def locust_count(printed, _):
    requests, errors = re.search(r"Aggregated +(\d+) +(\d+)\(", printed).groups()
    return int(requests), int(errors)


# ── evalscope perf: streaming chat ──────────────────────────────────────────────────────────────
def evalscope_command(options, url):
    prompts = options.folder / "prompts.txt"
    prompts.write_text("".join(f"Tell me something about the number {number}.\n"
                               for number in range(10000)))
    return [binary(options, "evalscope"), "perf", "--url", url + "/v1/chat/completions",
            "--api", "openai", "--model", "default", "--dataset", "line_by_line",
            "--dataset-path", str(prompts), "--parallel", str(options.clients), "--stream",
            "--number", "10000", "--duration", str(options.seconds), "--max-tokens", str(TOKENS),
            "--no-timestamp", "--outputs-dir", "."]


def evalscope_count(_, folder):
    summary = next(folder.glob("**/benchmark_summary.json"))
    figures = json.loads(summary.read_text())
    return figures["Total Requests"], figures["Failed Requests"]


# ── aiperf: streaming chat ──────────────────────────────────────────────────────────────────────
def aiperf_command(options, url):
    return [binary(options, "aiperf"), "profile", "--model", "default", "--url", url,
            "--endpoint-type", "chat", "--streaming", "--concurrency", str(options.clients),
            "--benchmark-duration", str(options.seconds), "--benchmark-grace-period", "60",
            "--synthetic-input-tokens-mean", "30", "--output-tokens-mean", str(TOKENS),
            "--tokenizer", str(options.tokenizer), "--ui", "simple", "--artifact-dir", "."]


def aiperf_count(_, folder):
    figures = json.loads((folder / "profile_export_aiperf.json").read_text())
    errors = sum(error["count"] for error in figures["error_summary"])
    return int(figures["request_count"]["avg"]) + errors, errors


# ── guidellm: streaming chat; what runs at the end is broken off ────────────────────────────────
def guidellm_command(options, url):
    return [binary(options, "guidellm"), "run",
            "--backend", f"kind=openai_http,target={url},model=default",
            "--profile", f"kind=concurrent,streams={options.clients}",
            "--constraint", f"kind=max_duration,seconds={options.seconds}",
            "--tokenizer", f"kind=huggingface_auto,model={options.tokenizer}",
            "--data", f"kind=synthetic_text,prompt_tokens=30,output_tokens={TOKENS}",
            "--output", "kind=json,path=run.json", "--output", "kind=console",
            "--disable-console-interactive"]


def guidellm_count(_, folder):
    benchmarks = json.loads((folder / "run.json").read_text())["benchmarks"]
    totals = benchmarks[0]["metrics"]["request_totals"]
    return totals["successful"] + totals["errored"], totals["errored"]


# ── curl: a process for each question ───────────────────────────────────────────────────────────
def curl_command(options, url):
    loops = f"seq {options.clients} | xargs -P {options.clients} -I {{}} "
    return ["sh", "-c", f"{loops} {HERE}/curl_loop.sh {url} {options.seconds}"]


def curl_count(printed, _):
    answers = [line.split() for line in printed.splitlines()]
    good = [answer for answer in answers if answer[:2] == ["0", "200"] and answer[-1] == "whole"]
    return len(answers), len(answers) - len(good)


CLIENTS = {
    "openai": Client(openai_command, openai_count),
    "locust": Client(locust_command, locust_count),
    "evalscope": Client(evalscope_command, evalscope_count),
    "aiperf": Client(aiperf_command, aiperf_count),
    "guidellm": Client(guidellm_command, guidellm_count),
    "curl": Client(curl_command, curl_count),
}
