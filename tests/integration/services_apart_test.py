"""Each service started by hand with `aorta serve`, meeting over TCP as between hosts."""

import contextlib
import signal
import subprocess

import pytest

import mesh as meshes
from mesh import BINARY, PATIENCE_S
from streams import Interrupt, ask_zmq

SUPERSEDED = 78


class Apart(meshes.Mesh):
    """No node agent: processes of our own. Everything else is asked as of any mesh."""

    def __init__(self, model="fake", sets=None):
        super().__init__()
        self.model = str(model)
        self.settings = ["--port-base", str(self.base)]
        for key, value in {"mesh.bind": "127.0.0.1", "engine.fake_step_us": 4000,
                           "cache.folder": self.folder / "packs", **(sets or {})}.items():
            self.settings += ["--set", f"{key}={value}"]
        self.services = {}

    def serve(self, kind, name=None, *arguments):
        name = name or kind
        log = open(self.folder / f"{name}.log", "ab")
        model = ["--model", self.model] if kind in ("admission", "executor") else []
        self.services[name] = subprocess.Popen(
            [BINARY, "serve", kind, "--name", name, *self.settings, *model, *arguments],
            env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        return self.services[name]

    def start(self):
        for kind in ("scheduler", "monitor", "cache", "admission"):
            self.serve(kind)
        for name in ("executor-a", "executor-b"):
            self.serve("executor", name)
        for name in self.services:
            self.wait_ready(name)

    def stop(self):
        for process in self.services.values():
            process.terminate()
        for process in self.services.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
            process.kill()
            process.wait()
        self.services = {}

    def aorta(self, *arguments, check=True, timeout=None):
        return super().aorta(*arguments, "--set", "mesh.bind=127.0.0.1", check=check,
                             timeout=timeout)

    def assert_answers_survive_an_executor(self):
        """Kills the one that answers, in the middle, and starts it again by hand."""
        undisturbed, _ = ask_zmq(self, "Go on", max_tokens=100, seed=5)
        killed = []

        def kill(request):
            killed.append(self.executor_of(request))
            self.services[killed[0]].kill()

        disturbed, epochs = ask_zmq(self, "Go on", Interrupt(20, kill), max_tokens=100, seed=5)
        assert disturbed == undisturbed
        assert epochs == 2
        self.services[killed[0]].wait()
        self.serve("executor", killed[0])
        self.wait_ready(killed[0])
        self.assert_empty()

    def logs(self):
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
                         for path in sorted(self.folder.glob("*.log")))


@pytest.fixture(scope="module")
def apart():
    with Apart() as running:
        yield running


def test_it_answers(apart):
    first, _ = ask_zmq(apart, "Over TCP?", max_tokens=30, seed=4)
    again, _ = ask_zmq(apart, "Over TCP?", max_tokens=30, seed=4)
    assert first == again
    assert len(first[0]) == 30
    apart.assert_empty()


def test_an_answer_survives_its_executor_without_a_node_agent(apart):
    apart.assert_answers_survive_an_executor()


def test_a_second_service_of_the_same_name_takes_over(apart):
    first = apart.services["executor-a"]
    second = apart.serve("executor", "executor-a")
    assert first.wait(PATIENCE_S) == SUPERSEDED
    apart.wait_ready("executor-a")
    assert apart.find("executor-a")["pid"] == second.pid
    (ids, _, _, _), _ = ask_zmq(apart, "Still here?", max_tokens=10, seed=1)
    assert len(ids) == 10


def test_drain_by_command_and_by_signal(apart):
    by_command, by_signal = apart.services["executor-a"], apart.services["executor-b"]
    apart.aorta("drain", "executor-a", "--wait", int(PATIENCE_S))
    assert by_command.wait(PATIENCE_S) == 0
    assert apart.executors() == ["executor-b"]

    undisturbed, _ = ask_zmq(apart, "Leave", max_tokens=60, seed=6)
    stop = Interrupt(10, lambda request: by_signal.send_signal(signal.SIGTERM))
    finished, epochs = ask_zmq(apart, "Leave", stop, max_tokens=60, seed=6)
    assert finished == undisturbed
    assert epochs == 1, "what runs may finish"
    assert by_signal.wait(PATIENCE_S) == 0


def test_scale_without_a_node_agent_says_what_to_run(apart):
    done = apart.aorta("scale", "executors=3", check=False)
    assert done.returncode == 3
    assert "aorta serve node" in done.stdout + done.stderr


def test_a_node_agent_runs_what_it_is_told_to_as_in_a_container(apart):
    agent = apart.serve("node", "node-here", "--run", "executor", "--model", "fake",
                        "--set", "node.name_prefix=here", "--set", "node.child_logs=stderr")
    apart.wait_ready("node-here")
    first = apart.find("here-1")
    assert first["state"] == "ready", "an agent is as ready as what it runs"
    assert not apart.find("here-2")
    apart.kill("here-1")
    apart.wait_reborn(first)
    agent.terminate()
    assert agent.wait(PATIENCE_S) == 0
    assert not apart.find("here-1")
    log = (apart.folder / "node-here.log").read_text()
    assert " here-1: " in log, "what its child said"
    assert log.count("reason=drained") >= 2
    apart.services.pop("node-here")


def test_a_node_agent_runs_no_kind_that_is_none(apart):
    wrong = subprocess.run([BINARY, "serve", "node", "--run", "executor,janitor"],
                           capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "janitor" in wrong.stderr
