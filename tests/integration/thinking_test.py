"""A model that thinks before it answers: the two are told apart, whatever dies in between."""

import json

import pytest

import mesh as meshes
from conftest import STEADY
from streams import Interrupt

THINKING = 20  # tokens, then </think>, one for each of its bytes
QUESTION = "How far is it?"


@pytest.fixture(scope="module")
def mesh():
    sets = {**STEADY, "engine.fake_thinking_tokens": THINKING}
    with meshes.Mesh(executors=2, sets=sets) as running:
        yield running


def think(mesh, interrupt=None):
    with mesh.client() as client:
        stream = client.generate(QUESTION, max_tokens=60, seed=3)
        for _ in stream:
            if interrupt:
                interrupt.saw(len(stream.ids), stream.request)
        result = stream.result
        usage = {key: value for key, value in result.usage.items() if key != "cached_tokens"}
        return stream.ids, stream.reasoning, stream.text, result.finish_reason, usage


def test_thinking_is_apart_from_the_answer(mesh):
    ids, reasoning, text, _, _ = think(mesh)
    whole = bytes(id for id in ids if id).decode("utf-8", "replace")
    before, after = whole.split("</think>")
    assert reasoning == before.strip(" \t\r\n") != ""
    assert text == after.lstrip(" \t\r\n") != ""

    body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 60, "seed": 3}
    status, _, answer = mesh.http("POST", "/v1/chat/completions", body)
    assert status == 200, answer
    answer = json.loads(answer)
    message = answer["choices"][0]["message"]
    assert (message["reasoning_content"], message["reasoning"]) == (reasoning, reasoning)
    assert message["content"] == text
    details = answer["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] == THINKING + len("</think>")


def test_a_raw_completion_is_never_split(mesh):
    body = {"prompt": QUESTION, "max_tokens": 60, "seed": 3}
    status, _, answer = mesh.http("POST", "/v1/completions", body)
    assert status == 200, answer
    assert "</think>" in json.loads(answer)["choices"][0]["text"]


@pytest.mark.parametrize("after", [THINKING // 2, THINKING + 3, THINKING + 9],
                         ids=["thinking", "within the tag", "answering"])
def test_its_executor_is_killed(mesh, after):
    undisturbed = think(mesh)
    killed = []
    interrupt = Interrupt(after, lambda request: killed.append(
        mesh.kill(mesh.executor_of(request))))
    assert think(mesh, interrupt) == undisturbed
    mesh.wait_reborn(killed[0])
    mesh.assert_empty()
