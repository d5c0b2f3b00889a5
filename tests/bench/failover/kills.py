"""SIGKILL of one executor after another under streams: what is lost, and how long until the next token."""

import calendar
import collections
import os
import re
import signal
import sys
import time

from streams_zmq import Streams

import mesh as meshes

QUESTIONS = 16


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def describe(values):
    """Of seconds."""
    return (f"p50 {percentile(values, 0.5) * 1e3:.0f} ms, p99 {percentile(values, 0.99) * 1e3:.0f} ms, "
            f"max {max(values, default=float('nan')) * 1e3:.0f} ms ({len(values)})")


class Kills:
    """`rest_s` between the moment at which all executors are ready again and the next kill."""

    def __init__(self, mesh, options):
        self.mesh, self.options = mesh, options
        prompts = [f"Tell me a story about the number {number}. " * options.prompt_repeats
                   for number in range(QUESTIONS)]
        self.streams = Streams(mesh.zmq_address, prompts, {
            "max_tokens": options.tokens, "ignore_eos": True, "temperature": 1.0})
        self.twins, self.kills, self.problems = {}, [], collections.Counter()
        self.asked = self.ended = self.moved = 0
        self.to_next_token, self.to_service, self.examples = [], [], []
        self.first_on = {}  # (executor, kill number) → time of the first token of a request that began there

    def learn_twins(self):
        for question in range(QUESTIONS):
            self.streams.ask(question)
        while len(self.twins) < QUESTIONS:
            for stream in self.streams.poll(1000):
                assert not stream.problem, stream
                self.twins[stream.question] = stream.ids

    def run(self):
        self.learn_twins()
        for _ in range(self.options.streams):
            self._ask()
        self._run_for(2.0)
        begun = time.time()
        while len(self.kills) < self.options.kills and time.time() < begun + 60 * self.options.minutes:
            self._kill_next()
            self._run_until_reborn()
            self._run_for(self.options.rest_s)
            if len(self.kills) % 100 == 0:
                print(f"  {len(self.kills)} kills, {time.time() - begun:.0f} s, "
                      f"{self.ended} answers, {self.moved} moved, {dict(self.problems)}",
                      file=sys.stderr)
        while self.streams.open:
            self._take(self.streams.poll(1000), again=False)
        self._match_restarts()

    # ── Inside ───────────────────────────────────────────────────────────────────────────────
    def _ask(self):
        self.streams.ask(self.asked % QUESTIONS)
        self.asked += 1

    def _run_for(self, seconds):
        until = time.time() + seconds
        while (left := until - time.time()) > 0:
            self._take(self.streams.poll(max(1, int(left * 1000))))

    def _kill_next(self):
        name = f"executor-{len(self.kills) % self.options.executors + 1}"
        pid = self.mesh.child(name)
        os.kill(pid, signal.SIGKILL)
        self.kills.append((time.time(), name, pid))

    def _run_until_reborn(self):
        """Until a request that began on the new life has its first token."""
        _, name, _ = self.kills[-1]
        deadline = time.time() + meshes.PATIENCE_S
        while (name, len(self.kills)) not in self.first_on:
            self._take(self.streams.poll(10))
            assert time.time() < deadline, f"{name} serves nobody\n{self.mesh.logs()}"

    def _take(self, ended, again=True):
        for stream in ended:
            self._judge(stream)
            if again:
                self._ask()

    def _judge(self, stream):
        self.ended += 1
        if not stream.problem and stream.ids != self.twins[stream.question]:
            stream.problem = "differing"
        if stream.problem:
            self.problems[stream.problem.split(":")[0]] += 1
            self.examples.append(stream.problem[:300])
            return
        epochs = self.mesh.request(stream.request)["epochs"]
        self._note_service(stream, epochs[-1])
        for before, after in zip(epochs, epochs[1:]):
            self.moved += 1
            self._note_move(stream, before, after)

    def _note_move(self, stream, before, after):
        """From the kill of the executor that it was on to its first token elsewhere."""
        next_token = stream.times[after["first_index"]]
        kill = next((at for at, name, _ in reversed(self.kills)
                     if name == before["executor"] and at < next_token), None)
        if kill is not None and before.get("lost") in ("dead", "superseded"):
            self.to_next_token.append(next_token - kill)

    def _note_service(self, stream, epoch):
        """The first token on the newest life of an executor, if this is one."""
        first = stream.times[epoch["first_index"]]
        if not self.kills:
            return
        at, name, _ = self.kills[-1]
        if epoch["executor"] == name and stream.asked > at:
            known = self.first_on.setdefault((name, len(self.kills)), first)
            self.first_on[name, len(self.kills)] = min(known, first)

    def _match_restarts(self):
        """From the start of each process, as its node agent's log has it, to its first token for a new request."""
        started = collections.defaultdict(list)
        for at, name in self.mesh.starts():
            started[name].append(at)
        for (name, number), first in self.first_on.items():
            killed = self.kills[number - 1][0]
            after = [at for at in started[name] if at >= killed - 0.002]
            if after:
                self.to_service.append(first - after[0])

    def report(self):
        lost = sum(count for what, count in self.problems.items() if what == "lost")
        return [f"{len(self.kills)} kills under {self.options.streams} streams: {self.ended} answers, "
                f"{self.moved} moves; lost {lost}, duplicated {self.problems['duplicated']}, "
                f"with a gap {self.problems['a gap']}, differing {self.problems['differing']}",
                f"from the kill to the next token at the client: {describe(self.to_next_token)}",
                f"from the restart to the first token of the next request there: "
                f"{describe(self.to_service)}"] + self.examples[:5]


class KilledMesh(meshes.Mesh):
    """Knows its children without asking a service."""

    def start(self):
        super().start()
        self.spawner = children_of(self.process.pid)[0]

    def child(self, name):
        deadline = time.time() + meshes.PATIENCE_S
        while time.time() < deadline:
            for pid in children_of(self.spawner):
                words = command_of(pid)
                if "--name" in words and words[words.index("--name") + 1] == name:
                    return pid
        raise AssertionError(f"{name} does not run\n{self.logs()}")

    def starts(self):
        """(time, name) of each start of a child."""
        log = (self.folder / "up.log").read_text()
        pattern = r"^(\S+)Z info node: started child=(\S+) pid="
        for stamp, name in re.findall(pattern, log, re.M):
            whole, fraction = stamp.split(".")
            seconds = time.strptime(whole + "+0000", "%Y-%m-%dT%H:%M:%S%z")
            yield calendar.timegm(seconds) + float("0." + fraction), name


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(word) for word in children.read().split()]


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as command:
            return command.read().split("\0")
    except OSError:
        return []
