"""Admission is killed in the middle of answers. Its journal, or the request that a client carries
along, brings the rest of each, and nothing else."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time

import pytest

import mesh as meshes
from mesh import BINARY, PATIENCE_S
from raw_client import Raw
from streams import Interrupt, ask_http, ask_zmq

import aorta
from aorta.answers import delivered_hash

pytestmark = pytest.mark.slow
QUESTION = "Tell me a long story about a heart."
TOKENS = 120


@pytest.fixture(scope="module")
def mesh():
    """Slower than others' meshes: an answer takes a while longer than a death."""
    with meshes.Mesh(executors=2, sets={"engine.fake_step_us": 10000}) as running:
        yield running


class Victim:
    """A process that dies at once when it is to: it was looked up before."""

    def __init__(self, mesh, name="admission"):
        self.mesh, self.process, self.dead = mesh, mesh.find(name), False

    def kill(self, *_):
        os.kill(self.process["pid"], signal.SIGKILL)
        self.dead = True

    def wait_reborn(self):
        assert self.dead, "it was to die in the middle of an answer"
        self.mesh.wait_reborn(self.process)


def read_with(interrupt, stream):
    """Our client's answer, which the interrupt meets in the middle: ids and text."""
    for _ in stream:
        interrupt.saw(len(stream.ids), stream.request)
    return stream.ids, stream.text


def question(**parameters):
    return {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": TOKENS, **parameters}


def resume_of(accepted, ids, **more):
    return {"request": accepted["request"], "life": accepted["life"], "next_index": len(ids),
            "delivered_hash": f"{delivered_hash(ids):016x}", **more}


def assert_undisturbed(mesh, undisturbed, ids, text, end):
    verb, body = end
    assert verb == "done", end
    assert (ids, text, body["finish_reason"]) == undisturbed[:3]
    assert body["usage"]["completion_tokens"] == undisturbed[3]["completion_tokens"]
    mesh.assert_empty()


@pytest.mark.parametrize("after", [1, 20, 100])
def test_a_stream_goes_on_at_the_restarted_admission(mesh, after):
    undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=51)
    victim = Victim(mesh)
    with Raw(mesh.zmq_address) as first:
        first.say("generate", **question(seed=51))
        accepted, ids, text, _ = first.read(after)
        victim.kill()
    victim.wait_reborn()
    with Raw(mesh.zmq_address) as second:
        second.say("resume", **resume_of(accepted, ids))
        again, rest, more, end = second.read()
    assert again["request"] == accepted["request"] and again["life"] > accepted["life"]
    assert_undisturbed(mesh, undisturbed, ids + rest, text + more, end)


def test_what_was_delivered_must_be_what_is_generated_again(mesh):
    victim = Victim(mesh)
    with Raw(mesh.zmq_address) as first:
        first.say("generate", **question(seed=52))
        accepted, ids, _, _ = first.read(20)
        victim.kill()
    victim.wait_reborn()
    ids[7] += 1
    with Raw(mesh.zmq_address) as second:
        second.say("resume", **resume_of(accepted, ids))
        _, rest, _, (verb, body) = second.read()
    assert (rest, verb, body["code"]) == ([], "failed", "stream_mismatch")
    mesh.assert_empty()


@pytest.mark.parametrize("after", [1, 60])
def test_our_client_does_it_by_itself(mesh, after):
    undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=53)
    victim = Victim(mesh)
    with mesh.client(retries=5) as client:
        stream = client.generate(QUESTION, max_tokens=TOKENS, seed=53)
        interrupt = Interrupt(after, victim.kill)
        for piece in stream:
            interrupt.saw(len(stream.ids), stream.request)
        assert (stream.ids, stream.text) == undisturbed[:2]
    victim.wait_reborn()
    mesh.assert_empty()


def test_many_streams_of_our_client_go_on(mesh):
    undisturbed = {seed: ask_zmq(mesh, QUESTION, max_tokens=60, seed=seed)[0] for seed in range(8)}
    answers, begun, victim = {}, threading.Barrier(9), Victim(mesh)

    def ask(seed):
        with mesh.client(retries=5) as client:
            stream = client.generate(QUESTION, max_tokens=60, seed=seed)
            answers[seed] = read_with(Interrupt(5, lambda request: begun.wait(60)), stream)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    begun.wait(60)
    victim.kill()
    for thread in threads:
        thread.join()
    assert answers == {seed: answer[:2] for seed, answer in undisturbed.items()}
    victim.wait_reborn()
    mesh.assert_empty()


def sse(connection):
    """(id, data) of each event, as they come; ends with the connection. A line that was cut off by
    that is no line, and an event without the empty line behind it is none."""
    event_id = data = None
    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        for line in connection:
            if line.startswith(b"id: "):
                event_id = line[4:].strip().decode()
            elif line.startswith(b"data: "):
                data = line[6:].strip()
            elif line == b"\n" and data is not None:
                yield event_id, data
                data = None


def text_of(chunk):
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


@pytest.mark.parametrize("after", [2, 40])
def test_server_sent_events_go_on_behind_the_last_id(mesh, after):
    undisturbed, _ = ask_http(mesh, QUESTION, max_tokens=TOKENS, seed=54)
    connection = http.client.HTTPConnection("127.0.0.1", mesh.base, timeout=PATIENCE_S)
    connection.request("POST", "/v1/chat/completions",
                       json.dumps(question(seed=54, stream=True, model="default")))
    text, last_id, request, victim = "", None, None, Victim(mesh)
    for count, (event_id, data) in enumerate(sse(connection.getresponse())):
        assert data != b"[DONE]", "admission was to die in the middle of the answer"
        chunk = json.loads(data)
        text, last_id = text + text_of(chunk), event_id
        request = chunk["id"].removeprefix("chatcmpl-")
        if count == after:
            victim.kill()
    connection.close()
    victim.wait_reborn()
    status, headers, body = mesh.http("GET", f"/v1/aorta/requests/{request}/stream",
                                      headers={"Last-Event-ID": last_id})
    assert status == 200, body
    chunks = [line[6:] for line in body.splitlines() if line.startswith("data: ")]
    assert chunks.pop() == "[DONE]"
    assert text + "".join(text_of(json.loads(chunk)) for chunk in chunks) == undisturbed[0]
    mesh.assert_empty()


def test_the_same_key_finds_the_same_answer(mesh):
    body = question(seed=55, idempotency_key="once")
    victim = Victim(mesh)
    with Raw(mesh.zmq_address) as first:
        first.say("generate", **body)
        accepted, ids, _, _ = first.read(10)
        victim.kill()
    victim.wait_reborn()
    undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=55)
    for _ in ("running", "finished"):
        with Raw(mesh.zmq_address) as again:
            again.say("generate", **body)
            same, ids, text, end = again.read()
        assert same["request"] == accepted["request"]
        assert_undisturbed(mesh, undisturbed, ids, text, end)
    with Raw(mesh.zmq_address) as other:
        other.say("generate", **{**body, "max_tokens": 3})
        verb, body = other.hear()
    assert (verb, body["status"], body["code"]) == ("rejected", 409, "idempotency_conflict")


def test_what_is_to_finish_finishes_without_a_client(mesh):
    undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=56)
    victim = Victim(mesh)
    with Raw(mesh.zmq_address) as first:
        first.say("generate", **question(seed=56, aorta={"on_disconnect": "finish"}))
        accepted, _, _, _ = first.read(10)
        victim.kill()
    victim.wait_reborn()
    deadline = time.monotonic() + PATIENCE_S
    while mesh.request(accepted["request"])["state"] != "length":
        assert time.monotonic() < deadline, mesh.request(accepted["request"])
    with Raw(mesh.zmq_address) as second:
        second.say("resume", request=accepted["request"], next_index=0)
        _, ids, text, end = second.read()
    assert_undisturbed(mesh, undisturbed, ids, text, end)


def test_choices_and_log_probabilities_go_on(mesh):
    def ask(**arguments):
        with mesh.client(**arguments) as client:
            stream = client.generate(QUESTION, max_tokens=60, seed=57, n=3, logprobs=True)
            interrupt = Interrupt(20, victim.kill)
            for _ in stream:
                if arguments:
                    interrupt.saw(len(stream.ids), stream.request)
            return [(one.ids, one.text, one.logprobs) for one in stream.choices]

    victim = Victim(mesh)
    undisturbed = ask()
    assert ask(retries=5) == undisturbed
    victim.wait_reborn()
    mesh.assert_empty()


def test_a_request_that_is_carried_goes_on_at_another_admission(mesh):
    """The first one is not killed here but left: it still thinks that it owns the request."""
    undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=58)
    base = meshes.free_port_base()
    with open(mesh.folder / "second.log", "ab") as log:
        second = subprocess.Popen(
            [BINARY, "serve", "admission", "--name", "admission-2", "--model", "fake",
             "--port-base", str(base), "--set", f"mesh.state_folder={mesh.state}"],
            env=mesh.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        mesh.wait_ready("admission-2")
        ask = question(seed=58)
        with Raw(mesh.zmq_address) as first, Raw(f"tcp://127.0.0.1:{base + 1}") as other:
            first.say("generate", **ask)
            accepted, ids, text, _ = first.read(20)
            other.say("resume", **resume_of(accepted, ids))
            assert other.hear()[1]["code"] == "request_not_found"
            other.say("resume", **resume_of(accepted, ids, generate=ask, seed=accepted["seed"]))
            again, rest, more, end = other.read()
        assert again["request"] == accepted["request"] and again["life"] > accepted["life"]
        assert_undisturbed(mesh, undisturbed, ids + rest, text + more, end)

        addresses = [mesh.zmq_address, f"tcp://127.0.0.1:{base + 1}"]
        with aorta.Client(addresses, silence_s=PATIENCE_S) as client:
            victim = Victim(mesh)
            stream = client.generate(QUESTION, max_tokens=TOKENS, seed=58)
            assert read_with(Interrupt(20, victim.kill), stream) == undisturbed[:2]
        victim.wait_reborn()
        mesh.assert_empty()
    finally:
        second.terminate()
        assert second.wait(PATIENCE_S) == 0


def test_the_real_model_too(demo_mesh):
    ask = {"max_tokens": 80, "seed": 71, "temperature": 0.8}
    undisturbed, _ = ask_zmq(demo_mesh, QUESTION, **ask)
    victim = Victim(demo_mesh)
    with demo_mesh.client(retries=5) as client:
        stream = client.generate(QUESTION, **ask)
        assert read_with(Interrupt(30, victim.kill), stream) == undisturbed[:2]
    victim.wait_reborn()
    demo_mesh.assert_empty()
