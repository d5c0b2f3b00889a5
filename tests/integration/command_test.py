"""The `aorta` command by hand: what can go wrong at the start is a sentence and an exit code."""

import json
import os
import pathlib
import select
import signal
import socket
import subprocess

import pytest

import mesh as meshes
from mesh import BINARY, Mesh

NOT_POSSIBLE, USAGE, BAD_CONFIGURATION = 3, 2, 78


def run(*arguments, **more):
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, **more)
    return done.returncode, done.stdout + done.stderr


def up(tmp_path, *arguments):
    """`aorta up` that is expected to end by itself."""
    environment = {"XDG_STATE_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"),
                   "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    return run("up", "--port-base", meshes.free_port_base(), *arguments, env=environment)


# ── Starting ─────────────────────────────────────────────────────────────────────────────────
def test_a_missing_model_says_how_to_get_one(tmp_path):
    code, said = up(tmp_path)
    assert code == NOT_POSSIBLE
    assert "tools/run" in said and "--model" in said


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "not.gguf"
    path.write_bytes(b"this is no model" * 100)
    code, said = up(tmp_path, "--model", path)
    assert code != 0
    assert "GGUF" in said, said


def test_a_truncated_model(tmp_path):
    whole = meshes.ROOT / "tests/golden/tiny/tiny-llama-gqa.Q8_0.gguf"
    found = whole if whole.exists() else next((meshes.ROOT / "tests/golden").rglob("*.gguf"))
    path = tmp_path / "cut.gguf"
    path.write_bytes(found.read_bytes()[:-1000])
    code, said = up(tmp_path, "--model", path)
    assert code != 0
    assert "cut.gguf" in said, said


@pytest.mark.parametrize("yaml, expected", [
    ("log:\n  fromat: json\n", "a.yaml:2: there is no setting 'log.fromat'; did you mean 'log.format'?"),
    ("mesh:\n  port_base: high\n", "a.yaml:2: mesh.port_base is 'high', but must be a whole number"),
    ("http:\n  max_connections: -1\n", "a.yaml:2: http.max_connections is '-1', but must be"),
    ("nonsense\n", "a configuration is a map of sections"),
])
def test_a_wrong_configuration(tmp_path, yaml, expected):
    path = tmp_path / "a.yaml"
    path.write_text(yaml)
    code, said = run("up", "--model", "fake", "--config", path)
    assert code == BAD_CONFIGURATION
    assert expected in said
    code, said = run("config", "check", path)
    assert code != 0
    assert expected in said


def test_listening_for_everybody_wants_a_word(tmp_path):
    code, said = up(tmp_path, "--model", "fake", "--set", "http.bind=0.0.0.0")
    assert code == BAD_CONFIGURATION
    assert "--insecure" in said


def test_a_port_in_use_is_named(tmp_path):
    base = meshes.free_port_base()
    with socket.socket() as held:
        held.bind(("127.0.0.1", base))
        held.listen()
        environment = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin"}
        code, said = run("up", "--model", "fake", "--port-base", base, env=environment)
    assert code == NOT_POSSIBLE, said
    assert str(base) in said and "in use" in said


def test_a_second_up_says_who_holds_it(mesh):
    done = subprocess.run(mesh.command, env=mesh.environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == NOT_POSSIBLE
    assert str(mesh.process.pid) in done.stdout + done.stderr


# ── Asking ───────────────────────────────────────────────────────────────────────────────────
def test_without_a_mesh_every_tool_says_how_to_start_one(tmp_path):
    environment = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin"}
    base = meshes.free_port_base()
    for arguments in (["ps"], ["audit"], ["scale", "executors=2"], ["drain", "executor-1"],
                      ["health", "mesh"], ["ask", "hello"]):
        code, said = run(*arguments, "--port-base", base, env=environment)
        assert code == NOT_POSSIBLE, (arguments, said)
        assert "aorta up" in said, (arguments, said)


def test_ask_streams_an_answer(mesh):
    done = mesh.aorta("ask", "Hello?", "--max-tokens", 20, "--seed", 5)
    assert len(done.stdout) >= 10
    again = mesh.aorta("ask", "Hello?", "--max-tokens", 20, "--seed", 5)
    assert again.stdout == done.stdout
    answer = json.loads(mesh.aorta("ask", "Hello?", "--max-tokens", 20, "--seed", 5,
                                   "--json").stdout)
    assert answer["finish_reason"] == "length"


def test_the_audit_tells_a_person(mesh):
    mesh.aorta("ask", "Why?", "--max-tokens", 7)
    text = mesh.aorta("audit").stdout
    assert text.startswith("balanced\nrequests ")
    _, tenant, tier, state, _, tokens, executor = text.splitlines()[-1].split()
    assert (tenant, tier, state, tokens) == ("default", "high", "length", "7")
    assert executor.startswith("executor-")


def test_health_of_one_and_of_nobody(mesh):
    assert mesh.aorta("health", "executor-1").returncode == 0
    done = mesh.aorta("health", "executor-99", check=False)
    assert done.returncode == 1
    assert "executor-1" in done.stdout + done.stderr, "it names those that there are"


def test_usage_errors_teach(mesh):
    for arguments in (["scale", "executors=many"], ["scale", "4"], ["frobnicate"], ["ps", "--jsn"]):
        code, said = run(*arguments)
        assert code == USAGE, (arguments, said)


def test_version_and_configuration():
    code, said = run("--version")
    assert code == 0 and "protocol" in said
    code, said = run("config", "show", "--json", "--set", "log.level=debug")
    assert code == 0
    assert json.loads(said)["log"]["level"] == "debug"


# ── Leaving ──────────────────────────────────────────────────────────────────────────────────
def test_sigterm_lets_what_runs_finish():
    with Mesh(executors=1, sets={"engine.fake_step_us": 4000}) as mesh:
        with mesh.client() as client:
            stream = client.generate("A long one", max_tokens=150, seed=1)
            next(iter(stream))
            mesh.process.send_signal(signal.SIGTERM)
            stream.read()
            assert len(stream.ids) == 150
            assert stream.result.finish_reason == "length"
        assert mesh.stop() == 0


def test_no_process_is_left_when_up_is_killed():
    with Mesh(executors=2, sets={"node.orphan_drain_ms": 3000}) as mesh:
        pids = [p["pid"] for p in mesh.processes()]
        mesh.process.kill()
        mesh.process.wait()
        for pid in pids:
            wait_gone(pid)


def test_without_its_spawner_the_mesh_leaves():
    with Mesh(executors=1, sets={"node.orphan_drain_ms": 3000}) as mesh:
        pids = [p["pid"] for p in mesh.processes() if p["service"] != "node"]
        children = pathlib.Path(f"/proc/{mesh.process.pid}/task").glob("*/children")
        spawner = int(next(text for path in children if (text := path.read_text())).split()[0])
        os.kill(spawner, signal.SIGKILL)
        assert mesh.process.wait(meshes.PATIENCE_S) == 1
        for pid in pids:
            wait_gone(pid)


def wait_gone(pid):
    """Blocks until a process that is not our child is gone."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([watched], [], [], 20)
    os.close(watched)
    assert ready, f"process {pid} is still there"


def test_one_process_serves_and_says_what_it_cannot_do():
    with Mesh(executors=2, arguments=["--one-process"]) as mesh:
        with mesh.client() as client:
            assert len(client.generate("Hi", max_tokens=9, seed=1).read()) > 0
        assert len({p["pid"] for p in mesh.processes()}) == 1
        done = mesh.aorta("scale", "executors=3", check=False)
        assert done.returncode == NOT_POSSIBLE
        assert "aorta up" in done.stdout + done.stderr
        mesh.assert_empty()
        assert mesh.stop() == 0
