"""What users of other servers complain of, each as a test that it does not happen here.

Further ones are elsewhere; docs/faults.md lists all.
"""

import http.client
import json
import random
import re
import socket
import struct
import time

import pytest

import mesh as meshes
from conftest import STEADY
from load import Load
from streams import FRONTS, Interrupt, ask_http, ask_zmq

pytestmark = pytest.mark.slow
LONG = {"max_tokens": 8000, "ignore_eos": True}  # half a minute


def service(mesh, kind):
    return next(s for s in mesh.audit()["services"] if s["service"] == kind)


def ended(mesh, request):
    """What became of a request, once it has ended."""
    deadline = time.monotonic() + meshes.PATIENCE_S
    while (told := mesh.request(request))["state"] in ("queued", "placed"):
        assert time.monotonic() < deadline, told
    return told


def pids(mesh):
    return {p["name"]: p["pid"] for p in mesh.processes()}


def test_scale_down_aborts_no_work_in_flight(mesh):
    with Load(mesh) as load:
        mesh.scale(1)
        load.go_on(12)
        mesh.scale(2)
        load.go_on(12)
    load.check()
    mesh.assert_empty()


@pytest.mark.parametrize("front", FRONTS)
def test_a_request_that_has_timed_out_is_not_decoded_on(mesh, front):
    seen = []
    note = Interrupt(1, seen.append)
    fields = {**LONG, "aorta": {"timeout_ms": 1500}}
    (*_, finish, usage), _ = FRONTS[front](mesh, "Take your time", note, **fields)
    assert finish == {"zmq": "timeout", "http": "length"}[front]
    told = ended(mesh, seen[0])
    assert (told["state"], told["tokens"]) == ("timeout", usage["completion_tokens"])
    assert told["tokens"] < LONG["max_tokens"] / 4
    mesh.assert_empty()


def leave_http(mesh, reset):
    """Asks, reads an event and hangs up; the request's id."""
    connection = http.client.HTTPConnection("127.0.0.1", mesh.base, timeout=meshes.PATIENCE_S)
    body = {"messages": [{"role": "user", "content": "long"}], "stream": True, **LONG}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    if reset:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer = connection.getresponse()
    request = answer.headers["X-Request-Id"]
    answer.readline()
    answer.close()
    connection.close()
    return request


def leave_zmq(mesh, _):
    with mesh.client() as client:
        stream = client.generate("long", **LONG)
        next(stream)
        return stream.request


@pytest.mark.parametrize("leave", [leave_http, leave_zmq])
@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_nothing_is_generated_for_a_client_that_has_closed(mesh, leave, reset):
    told = ended(mesh, leave(mesh, reset))
    assert told["state"] == "cancelled"
    assert told["tokens"] < LONG["max_tokens"] / 4
    mesh.assert_empty()


def test_cancelling_a_queued_request_leaves_the_one_that_runs_alone():
    sets = {**STEADY, "engine.slots": 1, "admission.max_wait_high_ms": 3600000}
    with meshes.Mesh(executors=1, sets=sets) as mesh:
        undisturbed = ask_zmq(mesh, "Run", max_tokens=200, seed=1)

        def cancel_others(_):
            with mesh.client() as client:
                waiting = [client.generate(f"Wait {number}", max_tokens=50) for number in range(5)]
                for stream in waiting[:3]:
                    stream.cancel()
                for stream in waiting[:3]:
                    stream.read()
                    assert (stream.result.finish_reason, stream.ids) == ("cancelled", [])

        assert ask_zmq(mesh, "Run", Interrupt(10, cancel_others), max_tokens=200,
                       seed=1) == undisturbed
        mesh.assert_empty()


def test_counters_return_to_zero_after_failures_amid_streams():
    sets = {**STEADY, "engine.fake_poison_id": ord("~")}
    with meshes.Mesh(executors=2, sets=sets) as mesh:
        with Load(mesh, clients=8) as load:
            leave_http(mesh, reset=True)
            leave_zmq(mesh, None)
            killed = mesh.kill("executor-1")  # before the poison does
            with mesh.client() as client:
                poison = client.generate("~", max_tokens=5)
                ask_zmq(mesh, "Late", aorta={"timeout_ms": 300}, **LONG)
                with pytest.raises(meshes.aorta.Failed):
                    poison.read()
            load.go_on(8)
        load.check()
        mesh.wait_reborn(killed)
        mesh.wait_ready("executors")
        mesh.assert_empty()
        text = mesh.http("GET", "/metrics")[2]
        for name in ("vllm:num_requests_running", "vllm:num_requests_waiting"):
            assert re.findall(rf"^{name}{{.*}} (\S+)$", text, re.M) == ["0"], name


def test_clients_that_break_off_anywhere_crash_nobody(mesh):
    """At drawn bytes of their requests and of the answers."""
    before, rng = pids(mesh), random.Random(3)
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 300}], "stream": True,
                       "max_tokens": 40}).encode()
    whole = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n"
             % len(body)) + body

    def break_off(_):
        for number in range(200):
            with socket.create_connection(("127.0.0.1", mesh.base)) as client:
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sent = rng.randrange(len(whole) + len(whole) // 2)
                client.sendall(whole[:sent])
                if sent >= len(whole):
                    client.recv(rng.randrange(1, 400))

    undisturbed = ask_http(mesh, "beside", max_tokens=300, seed=4)
    leave = Interrupt(20, break_off)
    assert ask_http(mesh, "beside", leave, max_tokens=300, seed=4) == undisturbed
    deadline = time.monotonic() + meshes.PATIENCE_S
    while mesh.audit()["figures"]["open"] > 0:
        assert time.monotonic() < deadline, mesh.audit()["figures"]
    assert pids(mesh) == before
    mesh.assert_empty()


def test_a_storm_of_a_thousand_cancels():
    sets = {**STEADY, "admission.max_wait_high_ms": 3600000}
    with meshes.Mesh(executors=2, sets=sets) as mesh:
        undisturbed = ask_http(mesh, "beside", max_tokens=200, seed=4)
        took = []

        def storm(_):
            with mesh.client() as client:
                streams = [client.generate("cancel me", **LONG) for _ in range(1000)]
                begun = time.monotonic()
                for stream in streams:
                    stream.cancel()
                for stream in streams:
                    stream.read()
                took.append(time.monotonic() - begun)
                assert {stream.result.finish_reason for stream in streams} == {"cancelled"}

        assert ask_http(mesh, "beside", Interrupt(5, storm), max_tokens=200, seed=4) == undisturbed
        print(f"1000 cancels within {took[0]:.2f} s")
        assert took[0] < 10
        assert ask_http(mesh, "beside", max_tokens=200, seed=4) == undisturbed
        mesh.assert_empty()


def test_a_restarted_executor_neither_draws_all_load_nor_stays_idle(mesh):
    """It is given more little by little."""
    with Load(mesh) as load:
        killed = mesh.kill("executor-2")
        mesh.wait_reborn(killed)
        known = {request["id"] for request in service(mesh, "admission")["requests"]}
        load.go_on(24)  # half of them had begun elsewhere
        fresh = [request["epochs"][0]["executor"] for request in service(mesh, "admission")["requests"]
                 if request["id"] not in known and request["epochs"][0]["executor"]]
    load.check()
    share = fresh.count("executor-2") / len(fresh)
    print(f"{share:.0%} of {len(fresh)}")
    assert 0 < share < 0.65
    mesh.assert_empty()


def test_requests_that_fail_by_themselves_shut_no_executor_out(mesh):
    """Wrong ones, those that time out and those whose clients leave say nothing of the executor that had them."""
    before = pids(mesh)
    for _ in range(4):
        assert mesh.http("POST", "/v1/completions", {"prompt": [1 << 30]})[0] == 400
        assert mesh.http("POST", "/v1/completions", {"prompt": "x" * 9000})[0] == 400
        ask_zmq(mesh, "Late", aorta={"timeout_ms": 200}, **LONG)
        leave_zmq(mesh, None)
        leave_http(mesh, reset=True)
    known = {request["id"] for request in service(mesh, "admission")["requests"]}
    with Load(mesh) as load:
        load.go_on(24)
    load.check()
    used = [request["epochs"][0]["executor"] for request in service(mesh, "admission")["requests"]
            if request["id"] not in known]
    assert min(used.count("executor-1"), used.count("executor-2")) > len(used) / 5, used
    assert pids(mesh) == before
    mesh.assert_empty()
