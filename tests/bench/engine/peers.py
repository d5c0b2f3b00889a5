"""The engines that paired.py compares: each says why it is not run, or answers `measure(line)` in tokens/s."""

import json
import pathlib
import subprocess

DECODE_STEPS = 64
BATCHED_STEPS = 32  # of llama.cpp's batched bench, whose rate is a mean over them


class Line:
    """What is measured: `rows` sequences that decode from `context` on, or one prompt of `ids`."""

    def __init__(self, mode, size, context=128):
        self.mode, self.size, self.context = mode, size, context
        self.name = f"{mode} {size}"


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} exited {done.returncode}: {done.stderr[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Ours:
    name = "aorta"

    def __init__(self, options):
        self.bench = pathlib.Path(options.build) / "tests/bench/engine/engine_bench"
        self.peak_bench = self.bench.with_name("peak_bench")
        self.arguments = [options.model, options.packs, f"threads={options.threads}"]
        self.threads = f"threads={options.threads}"
        self.absent = None if self.bench.exists() else f"there is no {self.bench}: build it"

    def measure(self, line):
        numbers = [line.size, line.context, DECODE_STEPS] if line.mode == "decode" \
            else [line.size, 3]
        return run(self.bench, *self.arguments, line.mode, *numbers)[0]["tokens_per_s"]

    def limits(self):
        """(bytes/s, int8 and float multiply-adds/s) that the machine can do now."""
        bandwidth = run(self.bench, *self.arguments, "bandwidth", 512)[0]["gb_per_s_best"] * 1e9
        peak = run(self.peak_bench, self.threads)[0]
        return bandwidth, peak["int8_macs_per_s"], peak["float_macs_per_s"]

    def close(self):
        pass


class Llama:
    """llama.cpp's own benches, flash attention on; several sequences by its batched bench."""
    name = "llama.cpp"

    def __init__(self, options):
        self.folder = pathlib.Path(options.peers or ".") / "llama/bin"
        self.common = ["-m", options.model, "-t", options.threads, "-fa", "on"]
        missing = [name for name in ("llama-bench", "llama-batched-bench")
                   if not (self.folder / name).exists()]
        self.absent = f"there is no {self.folder / missing[0]}: see tests/bench/peers.sh" \
            if missing else None

    def measure(self, line):
        bench = [self.folder / "llama-bench", *self.common, "-o", "jsonl"]
        if line.mode == "prefill":
            return run(*bench, "-p", line.size, "-n", 0, "-r", 1)[0]["avg_ts"]
        if line.size == 1:
            return run(*bench, "-p", 0, "-n", DECODE_STEPS, "-d", line.context, "-r", 3)[0]["avg_ts"]
        context = line.size * (line.context + BATCHED_STEPS)
        return run(self.folder / "llama-batched-bench", *self.common, "-c", context,
                   "-npp", line.context, "-ntg", BATCHED_STEPS, "-npl", line.size,
                   "--output-format", "jsonl")[0]["speed_tg"]

    def close(self):
        pass


class OpenVino:
    """openvino_engine.py in a process that lives as long as the run."""
    name = "OpenVINO GenAI"

    def __init__(self, options):
        python = pathlib.Path(options.peers or ".") / "ov/bin/python"
        self.process = None
        self.absent = f"there is no {python}: see tests/bench/peers.sh"
        if not python.exists():
            return
        script = pathlib.Path(__file__).with_name("openvino_engine.py")
        self.process = subprocess.Popen([python, script, options.model, str(options.threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        first = self.answer()
        self.absent = None if first else f"it failed: {self.process.communicate()[1][-300:]}"
        self.version = first and first["version"]

    def answer(self):
        """Its next line of JSON, past what OpenVINO itself prints; None when it ended."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        return None

    def measure(self, line):
        numbers = f"{line.size} {line.context} {DECODE_STEPS}" if line.mode == "decode" \
            else f"{line.size} 1"
        self.process.stdin.write(f"{line.mode} {numbers}\n")
        self.process.stdin.flush()
        answer = self.answer()
        if answer is None:
            raise RuntimeError(f"OpenVINO ended: {self.process.communicate()[1][-500:]}")
        return answer["tokens_per_s"]

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
