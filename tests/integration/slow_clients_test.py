"""Clients that take their time hold no memory to speak of, harm nobody, and cannot keep a mesh from leaving."""

import collections
import contextlib
import json
import resource
import select
import socket
import time

import pytest

import mesh as meshes
from conftest import STEADY
from streams import Interrupt, ask_http

pytestmark = pytest.mark.slow
SETS = {"http.header_timeout_ms": 300, "drain.drain_s": 2, "engine.fake_context_tokens": 100000}


@pytest.fixture
def hurried():
    """Its engine computes thousands of tokens a second, more than a client that stands still takes."""
    with meshes.Mesh(executors=2, sets=SETS) as mesh:
        yield mesh


def connect(mesh, receive_buffer=None):
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(meshes.PATIENCE_S)
    client.connect(("127.0.0.1", mesh.base))
    return client


def ask_without_reading(mesh, tokens):
    client = connect(mesh, receive_buffer=4096)
    body = json.dumps({"messages": [{"role": "user", "content": "all of it"}], "stream": True,
                       "max_tokens": tokens, "ignore_eos": True}).encode()
    client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: "
                   b"%d\r\n\r\n%s" % (len(body), body))
    return client


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def figures(mesh):
    return mesh.audit()["figures"]


def test_clients_that_do_not_read(hurried):
    """Their answers are computed to the end, hold no slot, little memory, and do not hold up a shutdown."""
    undisturbed = ask_http(hurried, "and me?", max_tokens=50, seed=3)
    admission = hurried.find("admission")["pid"]
    before = resident_bytes(admission)
    tokens, clients = 32000, 4  # some 8 MB of events each, more than sockets keep
    with contextlib.ExitStack() as stack:
        for _ in range(clients):
            stack.enter_context(ask_without_reading(hurried, tokens))
        deadline = time.monotonic() + meshes.PATIENCE_S * 2
        while figures(hurried)["ended"] < clients + 1:
            assert time.monotonic() < deadline, figures(hurried)
        assert ask_http(hurried, "and me?", max_tokens=50, seed=3) == undisturbed
        assert figures(hurried)["running"] == 0
        grown = resident_bytes(admission) - before
        print(f"{clients} unread answers of {tokens} tokens: {grown / 2**20:.1f} MiB")
        assert grown < 12 << 20
        begun = time.monotonic()
        assert hurried.stop() == 0
        print(f"stopped within {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < meshes.PATIENCE_S / 2  # a write may stand still for 60 s


def test_a_header_that_does_not_end(hurried):
    with connect(hurried) as trickle:
        trickle.sendall(b"GET /health HTTP/1.1\r\n")
        trickle.settimeout(0.05)
        received = b""
        deadline = time.monotonic() + meshes.PATIENCE_S
        while time.monotonic() < deadline:  # a byte now and then buys no time
            try:
                piece = trickle.recv(4096)
                if not piece:
                    break
                received += piece
            except TimeoutError:
                with contextlib.suppress(OSError):
                    trickle.sendall(b"X")
        assert received.startswith(b"HTTP/1.1 408 "), received


# ── More connections than are served ────────────────────────────────────────────────────────────


@contextlib.contextmanager
def open_files(soft):
    """As many descriptors for this process, and for those that it starts meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def ended(clients, count):
    """Waits until so many have got an answer or an end; returns all that have."""
    poll = select.poll()
    by_number = {client.fileno(): client for client in clients}
    for number in by_number:
        poll.register(number, select.POLLIN)
    found, deadline = [], time.monotonic() + meshes.PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        for number, _ in poll.poll(1000):
            poll.unregister(number)
            found.append(by_number[number])
    return found


def last_words(client):
    try:
        return client.recv(4096)
    except ConnectionResetError:
        return b""


def test_ten_thousand_connections():
    """4096 may stay; the others hear so or are closed, and a stream that runs goes on."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    many, limit = min(10000, hard - 500), 4096
    assert many > limit + 500, "too few open files for this test: `ulimit -Hn` must be 6000 or more"
    sets = {**STEADY, "http.header_timeout_ms": 600000}  # nobody is closed for being slow
    with open_files(1024), meshes.Mesh(executors=2, sets=sets) as mesh, open_files(hard):
        undisturbed = ask_http(mesh, "still there?", max_tokens=400, seed=5)
        crowd = []

        def come(_):
            crowd.extend(connect(mesh) for _ in range(many))

        assert ask_http(mesh, "still there?", Interrupt(5, come), max_tokens=400, seed=5) == undisturbed
        refused = ended(crowd, many - limit + 1)
        assert len(refused) >= many - limit
        words = collections.Counter(last_words(client)[:12] for client in refused)
        print(words)
        assert set(words) <= {b"HTTP/1.1 503", b""} and words[b"HTTP/1.1 503"] > 0
        kept = next(client for client in crowd if client not in refused)
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        for client in crowd:
            client.close()
        mesh.assert_empty()
