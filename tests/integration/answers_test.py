"""A whole mesh of real processes answers, over both fronts."""

import json

import pytest

from streams import FRONTS, ask_zmq


@pytest.mark.parametrize("front", FRONTS)
def test_the_same_question_gets_the_same_answer(mesh, front):
    ask = FRONTS[front]
    first, _ = ask(mesh, "Why is the sky blue?", max_tokens=40, seed=7)
    again, _ = ask(mesh, "Why is the sky blue?", max_tokens=40, seed=7)
    other, _ = ask(mesh, "Why is the sky blue?", max_tokens=40, seed=8)
    assert first == again
    assert first != other


def test_ids_count_and_finish(mesh):
    (ids, _, finish, usage), epochs = ask_zmq(mesh, "Hello", max_tokens=25, seed=1)
    assert len(ids) == 25
    assert finish == "length"
    assert usage["completion_tokens"] == 25
    assert epochs == 1


def test_whole_answer_over_http(mesh):
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 12, "seed": 3}
    status, _, text = mesh.http("POST", "/v1/chat/completions", body)
    answer = json.loads(text)
    assert status == 200, text
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 12


def test_models_health_and_readiness(mesh):
    with mesh.client() as client:
        assert client.models() == ["fake"]
        assert client.status().ready
    assert json.loads(mesh.http("GET", "/v1/models")[2])["data"][0]["id"] == "fake"
    assert mesh.http("GET", "/health")[0] == 200
    assert mesh.http("GET", "/ready")[0] == 200


def test_metrics_name_every_service(mesh):
    status, headers, text = mesh.http("GET", "/metrics", port=2)
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    for name in ("admission", "scheduler", "executor-1", "executor-2", "cache", "monitor", "node"):
        assert f'aorta_up{{service="{name}"' in text, name
    assert "aorta_requests_accepted_total" in text
    assert "aorta_desired_executors 2" in text


def test_ps_lists_every_process_once(mesh):
    processes = mesh.processes()
    assert sorted(p["name"] for p in processes) == [
        "admission", "cache", "executor-1", "executor-2", "monitor", "node", "scheduler"]
    assert all(p["state"] == "ready" for p in processes), processes
    assert len({p["pid"] for p in processes}) == 7
    assert all(p["incarnation"] > 0 for p in processes)


def test_state_is_private(mesh):
    assert mesh.state.stat().st_mode & 0o777 == 0o700
    for path in mesh.state.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_cancelled_answer_ends(mesh):
    with mesh.client() as client:
        stream = client.generate("Count", max_tokens=2000, seed=1)
        for piece in stream:
            stream.cancel()
        assert stream.result.finish_reason == "cancelled"
        assert len(stream.ids) < 2000


def test_nothing_is_left(mesh):
    mesh.assert_empty()
