"""Clients that go away in the middle: their generations stop, and nothing of them is left."""

import http.client
import json
import socket
import struct
import time

import pytest

import mesh as meshes
from streams import Interrupt, ask_http


def wait_for_idle(mesh):
    """The audit tries until it balances; what still runs may take a moment to be stopped."""
    deadline = time.monotonic() + meshes.PATIENCE_S
    while mesh.audit()["figures"]["open"] > 0:
        assert time.monotonic() < deadline, mesh.audit()["figures"]


def hang_up(mesh, reset):
    """Reads one line of an answer, then leaves with FIN or RST."""
    connection = http.client.HTTPConnection("127.0.0.1", mesh.base, timeout=60)
    body = {"messages": [{"role": "user", "content": "long"}], "stream": True, "max_tokens": 5000}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    if reset:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer = connection.getresponse()
    answer.readline()
    answer.close()
    connection.close()


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_http_clients_that_hang_up(mesh, reset):
    """Those beside them are not disturbed."""
    undisturbed = ask_http(mesh, "beside", max_tokens=100, seed=4)
    leave = Interrupt(20, lambda _: [hang_up(mesh, reset) for _ in range(8)])
    assert ask_http(mesh, "beside", leave, max_tokens=100, seed=4) == undisturbed
    assert leave.done
    wait_for_idle(mesh)
    mesh.assert_empty()


def test_zmq_clients_that_close(mesh):
    for _ in range(8):
        with mesh.client() as client:
            next(iter(client.generate("long", max_tokens=5000, seed=1)))
    wait_for_idle(mesh)
    mesh.assert_empty()


def test_a_parked_answer_goes_on_from_where_it_stopped(mesh):
    with mesh.client() as client:
        whole = client.generate("park me", max_tokens=80, seed=9)
        whole.read()
    with mesh.client() as client:
        stream = client.generate("park me", max_tokens=80, seed=9, on_disconnect="park")
        pieces = iter(stream)
        while len(stream.ids) < 20:
            next(pieces)
        request, next_index, begun = stream.request, stream.next_index, stream.text
    with mesh.client() as client:
        rest = client.resume(request, next_index)
        rest.read()
        assert begun + rest.text == whole.text
        assert rest.result.finish_reason == "length"
    mesh.assert_empty()
