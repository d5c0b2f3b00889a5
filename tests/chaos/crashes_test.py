"""Requests that crash whatever engine they come to: those beside them lose nothing, and the death is told as what it was.

docs/faults.md names these tests, row by row.
"""

import json
import threading

import pytest

import mesh as meshes
from aorta import Failed
from load import Load

POISON = "~"


@pytest.fixture(scope="module")
def poisoned():
    sets = {"engine.fake_step_us": 4000, "engine.fake_poison_id": ord(POISON)}
    with meshes.Mesh(executors=2, sets=sets) as running:
        yield running


def crashes(mesh):
    node = next(s for s in mesh.audit()["services"] if s["service"] == "node")
    return node["crashes"]


def test_poison(poisoned):
    """It fails at the third counted crash; those beside it lose nothing."""
    before = crashes(poisoned)
    with Load(poisoned) as load:
        with poisoned.client() as client, pytest.raises(Failed) as failed:
            client.generate(POISON, max_tokens=10).read()
        load.go_on(12)
    assert (failed.value.reason, failed.value.status) == ("poison", 500)
    load.check()
    poisoned.wait_ready("executors")
    assert crashes(poisoned) == before + 3
    poisoned.assert_empty()


def test_four_poisons_at_once(poisoned):
    """As many as would shut all executors out: each fails, and everybody else goes on being served."""
    failures = []

    def ask():
        with poisoned.client() as client:
            try:
                client.generate(POISON, max_tokens=10).read()
            except Failed as error:
                failures.append(error.reason)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    with Load(poisoned) as load:
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        load.go_on(12)
    print(f"longest gap of a neighbour: {load.longest_gap_s:.2f} s")
    assert failures == ["poison"] * 4
    load.check()
    poisoned.wait_ready("executors")
    poisoned.assert_empty()


def test_poison_over_http_is_an_error_and_not_an_empty_answer(poisoned):
    body = {"messages": [{"role": "user", "content": POISON}], "max_tokens": 10}
    answers = {}

    def ask(stream):
        answers[stream] = poisoned.http("POST", "/v1/chat/completions", {**body, "stream": stream})

    askers = [threading.Thread(target=ask, args=(stream,)) for stream in (False, True)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    status, _, text = answers[False]
    assert (status, json.loads(text)["error"]["code"]) == (500, "poison"), text
    status, _, text = answers[True]
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert json.loads(events[-2])["error"]["code"] == "poison" and events[-1] == "[DONE]", text
    poisoned.wait_ready("executors")
    poisoned.assert_empty()


def test_engine_death_ends_the_process_with_its_cause(poisoned):
    """Which the node agent reports; a death from outside is told apart from a crash."""
    first = poisoned.find("executor-1")["pid"]
    second = poisoned.find("executor-2")["pid"]
    with poisoned.client() as client, pytest.raises(Failed):
        client.generate(POISON, max_tokens=10).read()
    causes = poisoned.exits_of(first) + poisoned.exits_of(second)
    assert "SIGABRT" in causes, poisoned.logs()
    counted = crashes(poisoned)
    poisoned.wait_ready("executors")
    killed = poisoned.kill("executor-1")
    poisoned.wait_reborn(killed)
    assert poisoned.exits_of(killed["pid"]) == ["SIGKILL"]
    assert crashes(poisoned) == counted
    poisoned.assert_empty()
