"""16 clients stream over HTTP from two executors, one of which is killed and started again 10 s later."""

import collections
import http.client
import json
import pathlib
import threading
import time

import mesh as meshes
from services_apart_test import Apart

PHASE_S = 10.0  # before the kill, until the restart, after it
SETTLE_S = 20.0


class Client(threading.Thread):
    """Streams one answer after another and notes when each chunk came."""

    def __init__(self, mesh, number, tokens, stopped):
        super().__init__()
        self.mesh, self.number, self.tokens, self.stopped = mesh, number, tokens, stopped
        self.answers, self.failures = [], []  # (request, asked, times of chunks with text)

    def run(self):
        while not self.stopped.is_set():
            asked = time.monotonic()
            try:
                request, times = self.ask()
                self.answers.append((request, asked, times))
            except Exception as error:
                self.failures.append(f"{time.monotonic() - asked:.2f} s: {error!r}")

    def ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.mesh.base,
                                                timeout=meshes.PATIENCE_S)
        body = {"messages": [{"role": "user", "content": f"Tell me about the number {self.number}."}],
                "stream": True, "max_tokens": self.tokens, "ignore_eos": True}
        connection.request("POST", "/v1/chat/completions", json.dumps(body),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {answer.read()}")
        request, times, whole = "", [], False
        for line in answer:
            if line.startswith(b"data: {"):
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    raise AssertionError(chunk)
                request = chunk["id"].removeprefix("chatcmpl-")
                if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                    times.append(time.monotonic())
            whole = whole or line.strip() == b"data: [DONE]"
        connection.close()
        if not whole:
            raise AssertionError("the stream broke off")
        return request, times


def longest_gap(answers, begin, end):
    """Between two chunks of an answer, or from the question to the first, begun within that time."""
    gaps = [0.0]
    for _, asked, times in answers:
        moments = [asked, *times]
        gaps += [after - before for before, after in zip(moments, moments[1:])
                 if begin <= before < end]
    return max(gaps)


def run(options):
    sets = {"engine.threads": 1, "engine.fake_step_us": options.step_us,
            "cache.folder": pathlib.Path.home() / ".cache/aorta/packs"}
    with Apart(options.model, sets) as mesh:
        stopped = threading.Event()
        clients = [Client(mesh, number, options.tokens, stopped)
                   for number in range(options.clients)]
        begun = time.monotonic()
        for client in clients:
            client.start()
        time.sleep(PHASE_S)
        killed = time.monotonic()
        mesh.services["executor-b"].kill()
        mesh.services["executor-b"].wait()
        time.sleep(PHASE_S)
        restarted = time.monotonic()
        mesh.serve("executor", "executor-b")
        time.sleep(SETTLE_S)
        stopped.set()
        for client in clients:
            client.join()
        return report(mesh, clients, (begun, killed, restarted))


def report(mesh, clients, moments):
    begun, killed, restarted = moments
    answers = [answer for client in clients for answer in client.answers]
    failures = [failure for client in clients for failure in client.failures]
    served = [times[0] for request, asked, times in answers if asked > killed and times
              and mesh.request(request)["epochs"][-1]["executor"] == "executor-b"
              and times[0] > restarted]
    moved = sum(len(mesh.request(request)["epochs"]) > 1 for request, _, _ in answers)
    mesh.assert_empty()
    again = f"{min(served) - restarted:.2f} s after its start" if served else "never"
    per_client = collections.Counter(client.number for client in clients for _ in client.answers)
    return [f"{len(clients)} HTTP clients, {len(answers)} answers ({min(per_client.values())} or more "
            f"each), {moved} moved, {len(failures)} failures",
            f"longest gap: before the kill {longest_gap(answers, begun, killed):.2f} s, until the "
            f"restart {longest_gap(answers, killed - 0.5, restarted):.2f} s, after it "
            f"{longest_gap(answers, restarted, restarted + SETTLE_S):.2f} s",
            f"the restarted executor served again {again}"] + failures[:5]
