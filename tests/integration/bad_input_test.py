"""Wrong and hostile input on every socket: an answer that says what to do, and the mesh lives on."""

import json
import os
import socket

import msgpack
import pytest
import zmq

from streams import ask_zmq

CHAT = "/v1/chat/completions"


def say(**more):
    return {"messages": [{"role": "user", "content": "hi"}], **more}


# body, status, what the error's message or param must name
BAD_BODIES = [
    pytest.param("{not json", 400, "JSON", id="not-json"),
    pytest.param("[]", 400, "object", id="not-an-object"),
    pytest.param(json.dumps({"messages": "hi"}), 400, "messages", id="messages-no-list"),
    pytest.param(json.dumps({}), 400, "messages", id="no-messages"),
    pytest.param(json.dumps(say(max_tokens=-5)), 400, "max_tokens", id="negative-count"),
    pytest.param(json.dumps(say(max_tokens="many")), 400, "max_tokens", id="wrong-type"),
    pytest.param(json.dumps(say(temperature=9)), 400, "temperature", id="out-of-range"),
    pytest.param(json.dumps(say(model="gpt-17")), 404, "gpt-17", id="unknown-model"),
    pytest.param(json.dumps(say(aorta={"tier": "vip"})), 400, "tier", id="unknown-tier"),
    pytest.param(json.dumps({"messages": [{"role": "user", "content": "word " * 20000}]}), 400,
                 "context", id="beyond-the-context"),
    pytest.param(json.dumps({"messages": [{"role": "user", "content": "x" * (5 << 20)}]}), 413,
                 "", id="huge-body"),
    pytest.param("[" * 100000, 400, "", id="deep-nesting"),
    pytest.param(b"\xff\xfe{}", 400, "", id="not-utf8"),
]


@pytest.mark.parametrize("body, status, names", BAD_BODIES)
def test_http_bodies(mesh, body, status, names):
    got, _, text = mesh.http("POST", CHAT, body)
    assert got == status, text
    error = json.loads(text)["error"]
    assert error["message"].endswith((".", "!", "?")) or len(error["message"]) > 10
    assert names in json.dumps(error), error


def test_http_paths_and_methods(mesh):
    assert mesh.http("GET", "/nowhere")[0] == 404
    assert mesh.http("GET", CHAT)[0] == 405
    assert mesh.http("GET", "/" + "x" * 20000)[0] in (414, 431)


GARBAGE = [
    pytest.param([b"AOR1", b"generate", b"\xc1\xff garbage"], id="no-msgpack"),
    pytest.param([b"AOR1", b"generate", msgpack.packb([1, 2])], id="no-map"),
    pytest.param([b"AOR1", b"explode", msgpack.packb({})], id="unknown-verb"),
    pytest.param([b"AOR1", b"generate", msgpack.packb({"id": "x", **say(max_tokens=-1)})],
                 id="negative-count"),
    pytest.param([b"HTTP", b"GET", b"/"], id="another-protocol"),
    pytest.param([b"AOR1"], id="too-few-frames"),
    pytest.param([b""] * 50, id="too-many-frames"),
]


@pytest.mark.parametrize("frames", GARBAGE)
def test_zmq_messages(mesh, frames):
    """Each is answered with a sentence or dropped; the same socket is served afterwards."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(mesh.zmq_address)
        dealer.send_multipart(frames)
        dealer.send_multipart([b"AOR1", b"status", msgpack.packb({"id": "after"})])
        while True:
            assert dealer.poll(20000), "the front went silent"
            _, verb, body = dealer.recv_multipart()
            reply = msgpack.unpackb(body)
            if verb == b"status":
                break
            assert verb in (b"error", b"rejected")
            assert len(reply["message"]) > 10


def service_sockets(mesh):
    found = [f"ipc://{path}" for path in sorted(mesh.state.glob("*.sock"))]
    assert len(found) >= 4, found
    return found


def test_garbage_on_every_service_socket(mesh):
    before = {p["name"]: p["pid"] for p in mesh.processes()}
    hostile = [[b"AOR1"], [b""], [b"AOR1", b"\x00\x01", b"\xc1"], [b"AOR1", b"\xff\xff", b"\x90"],
               [b"AOR1", b"\x00\x14", os.urandom(500)], [os.urandom(20)] * 3, [b"x"] * 40,
               [b"AOR1", b"\x00\x1e", b"\xdd\xff\xff\xff\xff"]]
    with zmq.Context() as context:
        for address in service_sockets(mesh):
            for name in (b"", b"executor-1#1", b"no separator", os.urandom(30)):
                with context.socket(zmq.DEALER) as dealer:
                    dealer.linger = 1000
                    if name:
                        dealer.routing_id = b"\x01" + name if name[:1] == b"\0" else name
                    dealer.connect(address)
                    for frames in hostile:
                        dealer.send_multipart(frames)
    for address in service_sockets(mesh):  # and bytes that are not even ZeroMQ's
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(address.removeprefix("ipc://"))
            raw.sendall(os.urandom(4096))
    with socket.create_connection(("127.0.0.1", mesh.base + 1)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
    mesh.wait_ready("executors")
    assert {p["name"]: p["pid"] for p in mesh.processes()} == before
    (ids, _, finish, _), epochs = ask_zmq(mesh, "still there?", max_tokens=10, seed=1)
    assert (len(ids), finish, epochs) == (10, "length", 1)
    mesh.assert_empty()
