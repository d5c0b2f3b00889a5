"""Random faults of random services at random moments, on a network that fails too, under streams over both fronts.

Clients resume what was cut; each answer must be its undisturbed twin, and in the end nothing may be left. AORTA_CHAOS_S
sets the seconds (default 25), AORTA_CHAOS_SEED the faults drawn; the seed is printed. Beyond 120 s memory is judged.
"""

import os
import pathlib
import random
import signal
import sys
import threading
import time

import aorta
import mesh as meshes
from network import NEAR, Network
from resuming import AnswerLost, Resuming
from streams import ask_http, ask_zmq

SECONDS = float(os.environ.get("AORTA_CHAOS_S", "25"))
SEED = int(os.environ.get("AORTA_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
CLIENTS = 12
QUESTIONS = 6
PARAMETERS = {"max_tokens": 120, "ignore_eos": True}
GROWTH_KIB = 4096  # of a service that lives on, in the second half

# What may befall whom.
KILL, STOP, LEAVE = signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM
FAULTS = {
    "executor": [KILL, KILL, STOP, LEAVE],
    "scheduler": [KILL, STOP, LEAVE],
    "cache": [KILL, STOP, LEAVE],
    "monitor": [KILL, STOP, LEAVE],
    "admission": [KILL, STOP, LEAVE],
}


class Exposed(meshes.Mesh):
    """Its services meet over TCP at an address at which the failing network relays; tools ask past it."""

    def __init__(self):
        sets = {"mesh.bind": "127.0.0.1", "mesh.advertise": NEAR, "engine.fake_step_us": 4000,
                "admission.retain_requests": 200, "scheduler.remember_requests": 200}
        super().__init__(executors=3, sets=sets)
        self.network = Network([self.base, self.base + 1,
                                *range(self.base + 3, self.base + meshes.PORTS)])

    def start(self):
        self.network.__enter__()
        super().start()

    def stop(self):
        code = super().stop()
        self.network.__exit__()
        return code

    def aorta(self, *arguments, check=True, timeout=None):
        return super().aorta(*arguments, "--set", "mesh.bind=127.0.0.1", check=check,
                             timeout=timeout)

    def exposed_client(self):
        return aorta.Client(f"tcp://{NEAR}:{self.base + 1}", retries=50, silence_s=12)

    def children(self):
        """{name: (kind, pid)}, whoever can be asked."""
        found = {"node": ("node", self.process.pid)}
        for spawner in children_of(self.process.pid):
            for pid in children_of(spawner):
                words = command_of(pid)
                if "--name" in words:
                    found[words[words.index("--name") + 1]] = (words[words.index("serve") + 1], pid)
        return found


def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def resident_kib(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    except (OSError, StopIteration):
        return 0


# ── Clients ──────────────────────────────────────────────────────────────────────────────────────
class Client(threading.Thread):
    """Asks over one front until stopped, and compares."""

    def __init__(self, mesh, number, twins, stopped):
        super().__init__(daemon=True)  # a test that has failed elsewhere does not wait for it
        self.mesh, self.number, self.twins, self.stopped = mesh, number, twins, stopped
        self.front = ("zmq", "http")[number % 2]
        self.resuming = Resuming((NEAR, mesh.base))
        self.answers, self.refusals, self.problems = 0, 0, []

    def run(self):
        turn = self.number
        while not self.stopped.is_set():
            turn += 1
            try:
                answer = getattr(self, self.front)(turn % QUESTIONS)
                if answer != self.twins[self.front, turn % QUESTIONS]:
                    self.problems.append(f"{self.front}: {answer} differs")
                self.answers += 1
            except aorta.Rejected as error:
                self.refusals += 1
                self.stopped.wait(error.retry_after or 0.1)
            except AnswerLost as error:
                told = self.mesh.http("GET", f"/v1/aorta/requests/{error.request}")[2]
                self.problems.append(f"{self.front}: {error!r}: {told}")
            except aorta.ConnectionLost as error:
                if error.request:
                    self.problems.append(f"{self.front}: {error!r} after {error.next_index}")
                else:
                    self.refusals += 1  # the network let it not even come to be accepted
            except Exception as error:  # whatever goes wrong is the test's finding
                self.problems.append(f"{self.front}: {error!r}")

    def zmq(self, turn):
        with self.mesh.exposed_client() as client:
            stream = client.generate(f"Question {turn}", seed=turn, **PARAMETERS)
            stream.read()
            usage = {k: v for k, v in stream.result.usage.items() if k != "cached_tokens"}
            return stream.ids, stream.text, stream.result.finish_reason, usage

    def http(self, turn):
        return self.resuming.ask(f"Question {turn}", seed=turn, **PARAMETERS)


# ── Faults ───────────────────────────────────────────────────────────────────────────────────────
class Chaos:
    """Draws faults until told to stop; then wakes all that stand still."""

    def __init__(self, mesh, rng):
        self.mesh, self.rng, self.counts, self.still = mesh, rng, {}, set()

    def run(self, until):
        while time.monotonic() < until:
            if self.rng.random() < 0.4:
                self.mesh.network.fail(self.rng)
            else:
                self.signal_one()
            time.sleep(self.rng.uniform(0.1, 1.2))
        for pid in list(self.still):
            self.wake(pid)

    def signal_one(self):
        kinds = self.mesh.children()
        name = self.rng.choice(sorted(name for name, (kind, _) in kinds.items() if kind in FAULTS))
        kind, pid = kinds[name]
        number = self.rng.choice(FAULTS[kind])
        if pid in self.still:
            return
        self.counts[kind, number.name] = self.counts.get((kind, number.name), 0) + 1
        send(pid, number)
        if number == STOP:
            self.still.add(pid)
            threading.Timer(self.rng.uniform(0.1, 3.5), self.wake, (pid,)).start()

    def wake(self, pid):
        if pid in self.still:
            self.still.discard(pid)
            send(pid, signal.SIGCONT)


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has left just now


def undisturbed_answers(mesh):
    twins = {}
    for turn in range(QUESTIONS):
        for front, ask in (("zmq", ask_zmq), ("http", ask_http)):
            twins[front, turn] = ask(mesh, f"Question {turn}", seed=turn, **PARAMETERS)[0]
    return twins


def test_nothing_is_lost():
    print(f"AORTA_CHAOS_SEED={SEED} AORTA_CHAOS_S={SECONDS:g}")
    rss = {}
    with Exposed() as mesh:
        twins, stopped = undisturbed_answers(mesh), threading.Event()

        def note(when):
            rss[when] = {name: resident_kib(pid) for name, (_, pid) in mesh.children().items()}
            print(f"RSS in KiB at the {when}: {rss[when]}", file=sys.stderr)

        clients = [Client(mesh, number, twins, stopped) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        note("start")
        begun, chaos = time.monotonic(), Chaos(mesh, random.Random(SEED))
        lives_on = mesh.children()
        chaos.run(begun + SECONDS / 2)
        note("half")
        chaos.run(begun + SECONDS)
        note("end")
        stopped.set()
        for client in clients:
            client.join()
        problems = [problem for client in clients for problem in client.problems]
        counts = {f"{kind} {number}": count for (kind, number), count in sorted(chaos.counts.items())}
        print(f"{sum(c.answers for c in clients)} answers, {len(problems)} problems, "
              f"{sum(c.refusals + c.resuming.refusals for c in clients)} refusals\n{counts}\n"
              f"network: {mesh.network.faults}", file=sys.stderr)
        print("\n".join(problems), file=sys.stderr)
        assert not problems, f"AORTA_CHAOS_SEED={SEED}: {problems[:3]}\n{mesh.logs()}"
        assert all(client.answers > 0 for client in clients)
        mesh.wait_ready("executors")
        wait_until_nothing_is_open(mesh)
        mesh.assert_empty()
        if SECONDS >= 120:
            grown = {name: rss["end"][name] - rss["half"][name] for name, life in lives_on.items()
                     if mesh.children().get(name) == life}
            assert max(grown.values()) < GROWTH_KIB, grown


def wait_until_nothing_is_open(mesh):
    """What clients have left is parked, for as long as admission.park_ms says."""
    deadline = time.monotonic() + 60 + meshes.PATIENCE_S
    while mesh.audit()["figures"]["open"] > 0:
        assert time.monotonic() < deadline, mesh.audit()["figures"]
