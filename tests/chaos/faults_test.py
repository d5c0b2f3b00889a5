"""One fault after another under streams over both fronts: every answer is that of an undisturbed run, and nothing is left.

docs/faults.md names these tests, row by row.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import threading
import time

import pytest

import mesh as meshes
from engine_thread import StoppedEngine
from load import Load
from services_apart_test import Apart
from streams import Interrupt, ask_http, ask_zmq

STEADY = {"engine.fake_step_us": 4000}
STALL_S = 2.0  # scheduler.stall_ms, and as long as 20 missed beats


@pytest.fixture(scope="module")
def mesh():
    with meshes.Mesh(executors=2, sets=STEADY) as running:
        yield running


def metric(mesh, name, port=2):
    """The sum of a figure's values over all labels, as of the last report."""
    text = mesh.http("GET", "/metrics", port=port)[2]
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


def admission(mesh):
    return next(s for s in mesh.audit()["services"] if s["service"] == "admission")


def lost_reasons(mesh):
    return admission(mesh)["epochs_lost"]


def kill_together(mesh, *names):
    """Whom nobody can be asked about once the monitor is gone."""
    processes = [mesh.find(name) for name in names]
    for process in processes:
        os.kill(process["pid"], signal.SIGKILL)
    return processes


# ── Services that no stream needs ────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["scheduler", "cache", "monitor"])
def test_streams_do_not_notice(mesh, name):
    with Load(mesh) as load:
        running = {request["id"] for request in admission(mesh)["requests"]
                   if request["state"] == "placed" and request["tokens"] > 0}
        killed = mesh.kill(name)
        load.go_on(24)
        mesh.wait_reborn(killed)
        load.go_on(24)
    load.check()
    moved = [request for request in admission(mesh)["requests"]
             if request["id"] in running and request["epoch"] > 1]
    assert running and not moved, moved
    mesh.assert_empty()


def test_scheduler_killed_while_requests_wait():
    """The one that runs goes on; the others keep their places, and are served in the order in which they came."""
    sets = {**STEADY, "engine.slots": 1}
    served = []

    def read(stream, number):
        assert len(stream.read()) > 0
        served.append(number)

    with meshes.Mesh(executors=1, sets=sets) as mesh, contextlib.ExitStack() as clients:
        def ask(number, **parameters):
            client = clients.enter_context(mesh.client())
            stream = client.generate(f"Question {number}", seed=number, **parameters)
            reader = threading.Thread(target=read, args=(stream, number))
            reader.start()
            return reader

        readers = [ask(0, max_tokens=600)] + [ask(number, max_tokens=40) for number in range(1, 8)]
        killed = mesh.kill("scheduler")
        mesh.wait_reborn(killed)
        readers += [ask(number, max_tokens=40) for number in range(8, 10)]
        assert not served, "the first answer was too short for this test"
        for reader in readers:
            reader.join()
        assert served == list(range(10)), "the last two came while it learnt what there was"
        assert mesh.audit()["figures"]["ended"] == 10
        assert lost_reasons(mesh) == {}
        mesh.assert_empty()


# ── Executors that die ───────────────────────────────────────────────────────────────────────────
def test_executor_killed(mesh):
    lost = lost_reasons(mesh).get("dead", 0)
    with Load(mesh) as load:
        for name in ("executor-1", "executor-2", "executor-1"):
            killed = mesh.kill(name)
            load.go_on(12)
            mesh.wait_reborn(killed)
    load.check()
    assert lost_reasons(mesh)["dead"] > lost, "no answer was on it"
    mesh.assert_empty()


def test_all_executors_killed(mesh):
    with Load(mesh) as load:
        killed = kill_together(mesh, "executor-1", "executor-2")
        load.go_on(24)
        for process in killed:
            mesh.wait_reborn(process)
    load.check()
    mesh.assert_empty()


@pytest.mark.parametrize("name", ["scheduler", "cache", "monitor"])
def test_executor_killed_together_with(mesh, name):
    with Load(mesh) as load:
        killed = kill_together(mesh, name, "executor-1")
        load.go_on(24)
        for process in killed:
            mesh.wait_reborn(process)
    load.check()
    mesh.assert_empty()


# ── Executors that stand still ───────────────────────────────────────────────────────────────────
def stale_runs(mesh):
    return metric(mesh, "aorta_token_runs_stale_total", port=0)


def test_executor_stopped_and_continued(mesh):
    """Its answers move within the limit; when it wakes, what it still says is of an old epoch and changes nothing."""
    with Load(mesh, max_tokens=400) as load:
        stale = stale_runs(mesh)
        stopped = mesh.kill("executor-1", signal.SIGSTOP)
        load.go_on(12)
        assert load.longest_gap_s < STALL_S + meshes.PATIENCE_S / 10  # a busy machine adds to it
        os.kill(stopped["pid"], signal.SIGCONT)
        mesh.wait_ready("executor-1")
        load.go_on(12)
        assert stale_runs(mesh) > stale, "it had nothing to say: nothing was fenced"
    load.check()
    assert mesh.find("executor-1")["pid"] == stopped["pid"], "it goes on, as the process that it was"
    mesh.wait_ready("executors")
    mesh.assert_empty()


def test_engine_that_stops_stepping_while_its_process_beats(mesh):
    stalled = lost_reasons(mesh).get("stalled", 0)
    with Load(mesh, max_tokens=400) as load:
        pid = mesh.find("executor-2")["pid"]
        try:
            engine = StoppedEngine(pid).__enter__()
        except PermissionError as error:
            pytest.skip(f"{error}: this test stops a thread by ptrace")
        load.go_on(12)
        assert load.longest_gap_s < STALL_S + meshes.PATIENCE_S / 10
        assert mesh.find("executor-2")["state"] == "ready", "its process was to beat on"
        engine.__exit__()
        load.go_on(12)
    load.check()
    assert lost_reasons(mesh)["stalled"] > stalled
    assert mesh.find("executor-2")["pid"] == pid
    mesh.assert_empty()


# ── Leaving on purpose ───────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module", params=["finish", "hand_over"])
def draining(request):
    with meshes.Mesh(executors=2, sets={**STEADY, "executor.drain_mode": request.param}) as running:
        running.mode = request.param
        yield running


def assert_left_well(mesh, process):
    assert mesh.exits_of(process["pid"]) == ["exit code 0"], mesh.logs()


def test_drain_by_command(draining):
    leaves = draining.find("executor-2")
    with Load(draining) as load:
        draining.aorta("drain", "executor-2", "--wait", 60)
        load.go_on(12)
        draining.scale(2)
        load.go_on(12)
    load.check()
    assert_left_well(draining, leaves)
    assert ("draining" in lost_reasons(draining)) == (draining.mode == "hand_over")
    draining.assert_empty()


def test_sigterm(draining):
    with Load(draining) as load:
        leaves = draining.kill("executor-1", signal.SIGTERM)
        load.go_on(12)
        draining.wait_reborn(leaves)
    load.check()
    assert_left_well(draining, leaves)
    draining.assert_empty()


def test_rolling_restart(draining):
    with Load(draining) as load:
        restarted = []
        for name in draining.executors():
            restarted.append(draining.kill(name, signal.SIGTERM))
            draining.wait_reborn(restarted[-1])
            draining.wait_ready("executors")
        load.go_on(12)
    load.check()
    for process in restarted:
        assert_left_well(draining, process)
    draining.assert_empty()


def test_down_lets_running_answers_finish():
    with meshes.Mesh(executors=2, sets=STEADY) as mesh:
        undisturbed = {front: ask(mesh, "Finish?", max_tokens=200, seed=1)[0]
                       for front, ask in (("zmq", ask_zmq), ("http", ask_http))}
        amid, answers = threading.Barrier(3), {}

        def ask_amid(front, ask):
            interrupt = Interrupt(5, lambda _: amid.wait(60))
            answers[front] = ask(mesh, "Finish?", interrupt, max_tokens=200, seed=1)[0]

        readers = [threading.Thread(target=ask_amid, args=("zmq", ask_zmq)),
                   threading.Thread(target=ask_amid, args=("http", ask_http))]
        for reader in readers:
            reader.start()
        amid.wait(60)
        assert mesh.stop() == 0
        for reader in readers:
            reader.join()
        assert answers == undisturbed


# ── The node agent ───────────────────────────────────────────────────────────────────────────────
class TwoHosts(Apart):
    """Executors under two agents, as on two hosts; the rest by hand."""

    def start(self):
        for kind in ("scheduler", "monitor", "cache", "admission"):
            self.serve(kind)
        for host in ("a", "b"):
            self.serve_agent(host)
        for name in (*self.services, "a-1", "b-1"):
            self.wait_ready(name)

    def serve_agent(self, host):
        self.serve("node", f"node-{host}", "--run", "executor", "--model", "fake", "--set",
                   f"node.name_prefix={host}", "--set", "node.orphan_drain_ms=3000")


def test_node_agent_killed():
    """Its executors leave, those of others go on; the next agent of that name starts anew."""
    with TwoHosts() as mesh:
        with Load(mesh) as load:
            first = mesh.find("a-1")
            mesh.services["node-a"].kill()
            mesh.services["node-a"].wait()
            deadline = time.monotonic() + meshes.PATIENCE_S
            while mesh.executors() != ["b-1"]:
                assert time.monotonic() < deadline, mesh.processes()
                load.go_on(6)
            mesh.serve_agent("a")
            mesh.wait_reborn(first)
            load.go_on(24)
        load.check()
        mesh.assert_empty()


def wait_for_lock(path):
    """Until what the dead agent has left behind is gone: then its host can be taken again."""
    with open(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_node_agent_of_a_whole_host_killed():
    """All of it leaves, after what is running; `aorta up` then takes the host again."""
    with meshes.Mesh(executors=2, sets=STEADY) as mesh:
        undisturbed = ask_zmq(mesh, "Whose turn?", max_tokens=200, seed=1)

        children = [os.pidfd_open(process["pid"]) for process in mesh.processes()]

        def kill(_):
            mesh.process.kill()
            mesh.process.wait()

        assert ask_zmq(mesh, "Whose turn?", Interrupt(20, kill), max_tokens=200, seed=1) == undisturbed
        for child in children:
            assert select.select([child], [], [], meshes.PATIENCE_S)[0], "it did not leave"
            os.close(child)
        wait_for_lock(mesh.state / "up.pid")
        mesh.output.close()
        mesh.start()
        assert ask_zmq(mesh, "Whose turn?", max_tokens=200, seed=1) == undisturbed
        mesh.assert_empty()
