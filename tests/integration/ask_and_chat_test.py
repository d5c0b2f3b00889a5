"""`aorta ask` in pipes and `aorta chat` on a terminal."""

import json
import os
import re
import subprocess

import pytest

import mesh as meshes
from mesh import BINARY, Mesh
from terminal import Terminal

INTERRUPTED, USAGE, NOT_POSSIBLE, TRY_AGAIN = 130, 2, 3, 75
CTRL_C, CTRL_D, BACKSPACE, LEFT, UP = "\x03", "\x04", "\x7f", "\033[D", "\033[A"


def run(mesh, *arguments, typed=None):
    return subprocess.run([BINARY, *map(str, arguments), "--port-base", str(mesh.base)],
                          env=mesh.environment, input=typed, text=True, capture_output=True,
                          timeout=meshes.PATIENCE_S)


def chat_on(mesh, *arguments):
    return Terminal([BINARY, "chat", "--port-base", mesh.base, *arguments], mesh.environment)


# ── ask ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("arguments", [["-"], []])
def test_ask_reads_its_question_from_a_pipe(mesh, arguments):
    options = ["--max-tokens", 20, "--seed", 5]
    piped = run(mesh, "ask", *arguments, *options, typed="What is\nthat?\n")
    given = run(mesh, "ask", "What is\nthat?", *options)
    assert piped.returncode == given.returncode == 0, piped.stderr
    assert piped.stdout == given.stdout
    assert "\033" not in piped.stdout
    assert "20 tokens" in piped.stderr and "length" in piped.stderr


def test_ask_without_a_question(mesh):
    done = run(mesh, "ask", typed=" \n")
    assert done.returncode == USAGE
    with Terminal([BINARY, "ask", "--port-base", mesh.base], mesh.environment) as terminal:
        terminal.wait_for("what is the question")
        assert terminal.exit_code() == USAGE


def test_ask_as_json_is_whole(mesh):
    done = run(mesh, "ask", "Why?", "--json", "--max-tokens", 7, "--seed", 3)
    answer = json.loads(done.stdout)
    assert len(answer["ids"]) == 7
    assert answer["usage"]["completion_tokens"] == 7
    assert answer["seed"] == 3 and len(answer["request"]) == 32


def test_ask_by_address(mesh):
    done = subprocess.run([BINARY, "ask", "Why?", "--max-tokens", "5", "--address",
                           mesh.zmq_address], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout, done.stderr
    wrong = subprocess.run([BINARY, "ask", "Why?", "--address", "nonsense"], capture_output=True,
                           text=True, timeout=60)
    assert wrong.returncode == USAGE
    assert "nonsense" in wrong.stderr


def test_ctrl_c_cancels_what_was_asked(mesh):
    command = [BINARY, "ask", "Go on", "--max-tokens", "5000", "--seed", "1", "--port-base", mesh.base]
    with Terminal(command, mesh.environment) as terminal:
        terminal.wait_for(".{20}")
        terminal.type(CTRL_C)
        terminal.wait_for("cancelled")
        assert terminal.exit_code() == INTERRUPTED
    mesh.assert_empty()


def test_a_refusal_for_load_says_when_to_try_again():
    with Mesh(executors=1, sets={"engine.fake_step_us": 4000,
                                 "admission.open_per_tenant": 1}) as mesh:
        with mesh.client() as client:
            with client.generate("Go on", max_tokens=5000) as stream:
                next(stream)
                done = run(mesh, "ask", "Me too")
    assert done.returncode == TRY_AGAIN
    assert "try again in" in done.stderr
    assert done.stdout == ""


def test_keys_where_the_mesh_wants_them(tmp_path):
    mesh = Mesh(executors=1)
    key = mesh.aorta("keys", "add", "--tenant", "acme").stdout.strip()
    with mesh:
        keyed = {**mesh.environment, "AORTA_API_KEY": key}
        stranger = {**mesh.environment, "XDG_STATE_HOME": str(tmp_path)}

        def ask(environment, *arguments):
            return subprocess.run(
                [BINARY, "ask", "Why?", "--max-tokens", "5", "--address", mesh.zmq_address,
                 *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert run(mesh, "ask", "Why?", "--max-tokens", 5).returncode == 0, "the owner may ask"
        assert ask(keyed).returncode == 0
        assert ask(stranger, "--api-key", key).returncode == 0
        for done in (ask(stranger), ask(stranger, "--api-key", "sk-aorta-wrong")):
            assert done.returncode == NOT_POSSIBLE
            assert "key" in done.stderr and done.stdout == ""
        with meshes.aorta.Client(mesh.zmq_address, api_key=key) as client:
            assert client.generate("Why?", max_tokens=5).read()
        with meshes.aorta.Client(mesh.zmq_address, api_key="") as client:
            with pytest.raises(meshes.aorta.Rejected) as refused:
                client.generate("Why?")
            assert refused.value.status == 401


# ── chat ─────────────────────────────────────────────────────────────────────────────────────
def test_chat_answers_with_its_history(mesh):
    """The second answer depends on the first exchange: after /reset it is another."""
    with chat_on(mesh, "--max-tokens", 12, "--seed", 1) as terminal:
        terminal.wait_for("/help.*> ")
        answers = []
        for line in ("Hello", "And?", "/reset", "And?", "Hello"):
            terminal.type(line + "\n")
            answers.append(terminal.wait_for(re.escape(line) + r"\r\n(.*?)> ")[1].strip())
        assert answers[1] != answers[3], "the history counts"
        assert "anew" in answers[2]
        terminal.type(CTRL_D)
        assert terminal.exit_code() == 0
    mesh.assert_empty()


def test_chat_lines_can_be_edited_and_brought_back(mesh):
    with chat_on(mesh) as terminal:
        terminal.wait_for("> ")
        terminal.type("/hlx" + BACKSPACE + "p" + LEFT + LEFT + "e\n")
        terminal.wait_for("forget the conversation.*> ")
        terminal.type(UP + "\n")
        terminal.wait_for("forget the conversation.*> ")
        terminal.type(CTRL_D)
        assert terminal.exit_code() == 0


def test_chat_ctrl_c_stops_the_answer_only(mesh):
    with chat_on(mesh, "--max-tokens", 3000, "--seed", 1) as terminal:
        terminal.wait_for("> ")
        terminal.type("Go on\n")
        terminal.wait_for(r"Go on\r\n.{20}")
        terminal.type(CTRL_C)
        terminal.wait_for(r"\(stopped\)\r\n> ")
        terminal.type("/help\n")
        terminal.wait_for("/quit.*> ")
        terminal.type(CTRL_C)
        terminal.wait_for("Ctrl-C again leaves.*> ")
        terminal.type(CTRL_C)
        assert terminal.exit_code() == INTERRUPTED
    mesh.assert_empty()


def test_chat_commands(mesh):
    with chat_on(mesh, "--max-tokens", 8, "--seed", 1) as terminal:
        terminal.wait_for("> ")
        for typed, expected in (("/system Be brief", "is set"), ("/system", "No system message"),
                                ("/frobnicate", "no /frobnicate"), ("/quit", "")):
            terminal.type(typed + "\n")
            terminal.wait_for(expected)
        assert terminal.exit_code() == 0


def test_chat_shows_a_refusal_and_goes_on(mesh):
    with chat_on(mesh, "--model", "unheard-of") as terminal:
        terminal.wait_for("> ")
        for _ in range(2):
            terminal.type("Hello\n")
            terminal.wait_for("aorta: [^\n]*unheard-of[^\n]*\r\n> ")
        terminal.type("/quit\n")
        assert terminal.exit_code() == 0
    piped = run(mesh, "chat", "--model", "unheard-of", typed="Hello\n")
    assert piped.returncode == 1
    assert "unheard-of" in piped.stderr


def test_chat_in_a_pipe(mesh):
    options = ["--max-tokens", 9, "--seed", 2]
    done = run(mesh, "chat", *options, typed="Hello\nAnd?\n")
    assert done.returncode == 0, done.stderr
    assert "> " not in done.stderr and "\033" not in done.stdout
    first = run(mesh, "ask", "Hello", *options)
    assert done.stdout.startswith(first.stdout)
    assert len(done.stdout) > len(first.stdout)


def test_chat_without_a_mesh(tmp_path):
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([BINARY, "chat", "--port-base", str(meshes.free_port_base())],
                          env=environment, input="Hello\n", capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == NOT_POSSIBLE
    assert "aorta up" in done.stderr
