"""Processes are killed in the middle of an answer, which goes on as if nothing had happened."""

import os
import signal
import threading

import pytest

from streams import FRONTS, Interrupt, ask_zmq

QUESTION = "Tell me a long story about a heart."
TOKENS = 120
SAMPLINGS = [{"seed": 11}, {"seed": 12, "temperature": 0},
             {"seed": 13, "temperature": 0.7, "top_p": 0.9}]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: f"seed{s['seed']}")
@pytest.mark.parametrize("front", FRONTS)
def test_the_executor_that_serves_it(mesh, front, sampling):
    ask = FRONTS[front]
    undisturbed, _ = ask(mesh, QUESTION, max_tokens=TOKENS, **sampling)
    seen = {}

    def kill_its_executor(request):
        seen["request"] = request
        seen["killed"] = mesh.kill(mesh.executor_of(request))

    disturbed, _ = ask(mesh, QUESTION, Interrupt(20, kill_its_executor), max_tokens=TOKENS,
                       **sampling)
    assert disturbed == undisturbed
    epochs = mesh.request(seen["request"])["epochs"]
    assert len(epochs) == 2, epochs
    mesh.wait_reborn(seen["killed"])
    mesh.assert_empty()


def test_all_executors_at_once(mesh):
    undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=21)
    killed = []

    def kill_all(request):
        killed.extend(mesh.kill(name) for name in ("executor-1", "executor-2"))

    disturbed, epochs = ask_zmq(mesh, QUESTION, Interrupt(30, kill_all), max_tokens=TOKENS, seed=21)
    assert disturbed == undisturbed
    assert epochs >= 2
    for process in killed:
        mesh.wait_reborn(process)
    mesh.assert_empty()


def test_log_probabilities_go_on_too(mesh):
    def ask(interrupt=None):
        with mesh.client() as client:
            stream = client.generate(QUESTION, max_tokens=TOKENS, seed=25, logprobs=True,
                                     top_logprobs=3)
            pieces = []
            for piece in stream:
                pieces += piece.logprobs
                if interrupt:
                    interrupt.saw(len(stream.ids), stream.request)
            return stream.ids, pieces

    undisturbed = ask()
    assert len(undisturbed[1]) == TOKENS
    killed = []
    interrupt = Interrupt(20, lambda request: killed.append(
        mesh.kill(mesh.executor_of(request))))
    assert ask(interrupt) == undisturbed
    mesh.wait_reborn(killed[0])
    mesh.assert_empty()


@pytest.mark.parametrize("name", ["scheduler", "monitor", "cache"])
def test_a_service_that_no_stream_needs(mesh, name):
    undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=31)
    killed = []
    interrupt = Interrupt(20, lambda request: killed.append(mesh.kill(name)))
    disturbed, epochs = ask_zmq(mesh, QUESTION, interrupt, max_tokens=TOKENS, seed=31)
    assert disturbed == undisturbed
    assert epochs == 1, "its executor went on"
    mesh.wait_reborn(killed[0])
    mesh.wait_ready("executors")
    again, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=31)
    assert again == undisturbed
    mesh.assert_empty()


def test_an_executor_that_stands_still_and_comes_back(mesh):
    undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=TOKENS, seed=41)
    paused = []

    def pause_its_executor(request):
        paused.append(mesh.kill(mesh.executor_of(request), signal.SIGSTOP))

    disturbed, epochs = ask_zmq(mesh, QUESTION, Interrupt(20, pause_its_executor),
                                max_tokens=TOKENS, seed=41)
    assert disturbed == undisturbed
    assert epochs == 2
    os.kill(paused[0]["pid"], signal.SIGCONT)  # what it still held is taken from it
    mesh.wait_ready("executors")
    mesh.assert_empty()


def test_many_streams_while_an_executor_dies(mesh):
    undisturbed = {seed: ask_zmq(mesh, QUESTION, max_tokens=60, seed=seed)[0] for seed in range(8)}
    answers, begun = {}, threading.Barrier(9)

    def ask(seed):
        interrupt = Interrupt(5, lambda request: begun.wait(60))
        answers[seed], _ = ask_zmq(mesh, QUESTION, interrupt, max_tokens=60, seed=seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    begun.wait(60)
    killed = mesh.kill("executor-1")
    for thread in threads:
        thread.join()
    assert answers == undisturbed
    mesh.wait_reborn(killed)
    mesh.assert_empty()
