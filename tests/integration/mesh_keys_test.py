"""Services that meet under keys: what they do together, and what somebody without them gets."""

import struct
import time

import msgpack
import pytest
import zmq

from mesh import PATIENCE_S
from services_apart_test import Apart
from streams import Interrupt, ask_zmq

HELLO, WELCOME, REFUSED, TOKENS, STOP = 1, 2, 4, 31, 34
EXECUTOR, TOOL = 2, 6
ADMISSION_PORT, MONITOR_PORT = 4, 6


class Keyed(Apart):
    """Each service a process of its own, over TCP, with the keys of `aorta keys init`."""

    def start(self):
        self.aorta("keys", "init")
        super().start()

    def public(self, role):
        lines = (self.state / "keys/mesh.public").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith(role + " ")).encode()

    def pair(self, role):
        text = (self.state / f"keys/{role}.secret").read_text()
        secret = text.splitlines()[1].split()[1].encode()
        return zmq.curve_public(secret), secret

    def refused(self, reason):
        """How many connections or peers all services together have refused for it."""
        _, _, text = self.http("GET", "/metrics", port=2)
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.startswith("aorta_security_rejected_total")
                   and f'reason="{reason}"' in line)

    def wait_refused(self, reason, more_than):
        deadline = time.monotonic() + PATIENCE_S
        while self.refused(reason) <= more_than:
            assert time.monotonic() < deadline, f"nothing was refused for {reason}\n{self.logs()}"


class Peer:
    """Somebody who dials a service's socket and speaks its protocol."""

    def __init__(self, mesh, port, binder, pair=None, name="executor-z"):
        self.name = [name, time.time_ns()]  # of two with one name the later one is met
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.routing_id = f"{name}#{self.name[1]}".encode()
        if pair:
            self.socket.curve_serverkey = mesh.public(binder)
            self.socket.curve_publickey, self.socket.curve_secretkey = pair
        self.socket.connect(f"tcp://127.0.0.1:{mesh.base + port}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.context.term()

    def send(self, number, fields):
        self.socket.send_multipart([b"AOR1", struct.pack(">H", number), msgpack.packb(fields)])

    def hello(self, kind):
        self.send(HELLO, [1, kind, self.name, 1, "here", ""])

    def hear(self, number, patience_s=PATIENCE_S):
        """The fields of the next message of that number; None when there is none in time."""
        deadline = time.monotonic() + patience_s
        while (left := deadline - time.monotonic()) > 0 and self.socket.poll(left * 1000):
            _, kind, body = self.socket.recv_multipart()
            if struct.unpack(">H", kind)[0] == number:
                return msgpack.unpackb(body)
        return None


@pytest.fixture(scope="module")
def keyed():
    with Keyed() as running:
        yield running


def test_it_answers_and_survives_an_executor(keyed):
    keyed.assert_answers_survive_an_executor()


def test_an_unknown_key_is_refused_in_the_handshake(keyed):
    before = keyed.refused("unknown_key")
    with Peer(keyed, ADMISSION_PORT, "admission", zmq.curve_keypair()) as stranger:
        stranger.hello(EXECUTOR)
        keyed.wait_refused("unknown_key", before)
        assert stranger.hear(WELCOME, 0) is None


def test_no_key_at_all_gets_no_word(keyed):
    with Peer(keyed, ADMISSION_PORT, "admission") as plain, \
            Peer(keyed, ADMISSION_PORT, "admission", keyed.pair("executor")) as honest:
        plain.hello(EXECUTOR)
        honest.hello(EXECUTOR)
        assert honest.hear(WELCOME), "whoever has the key is answered"
        assert plain.hear(WELCOME, 0.2) is None


def test_a_tool_cannot_meet_an_admission(keyed):
    before = keyed.refused("wrong_role")
    with Peer(keyed, ADMISSION_PORT, "admission", keyed.pair("tool")) as tool:
        tool.hello(EXECUTOR)
        keyed.wait_refused("wrong_role", before)
        assert tool.hear(WELCOME, 0) is None


def test_a_tool_cannot_pass_for_an_executor(keyed):
    before = keyed.refused("forged")
    with Peer(keyed, MONITOR_PORT, "monitor", keyed.pair("tool")) as forger:
        forger.hello(EXECUTOR)
        assert "key of tool" in forger.hear(REFUSED)[0]
    keyed.wait_refused("forged", before)
    assert keyed.find("executor-z") is None


def test_tokens_of_an_executor_that_was_not_chosen(keyed):
    undisturbed, _ = ask_zmq(keyed, "Whose?", max_tokens=60, seed=7)
    stopped = []

    def forge(request):
        with Peer(keyed, ADMISSION_PORT, "admission", keyed.pair("executor")) as forger:
            forger.hello(EXECUTOR)
            assert forger.hear(WELCOME)
            epoch = keyed.request(request)["epochs"][-1]["epoch"]
            key = [bytes.fromhex(request), epoch]
            # What was delivered already, and what comes next: both of the running epoch.
            forger.send(TOKENS, [[[key, 0, [65, 65], 0, []], [key, 10, [65] * 50, 1, []]], "x"])
            stopped.append(forger.hear(STOP))

    forged, epochs = ask_zmq(keyed, "Whose?", Interrupt(10, forge), max_tokens=60, seed=7)
    assert stopped[0], "the forger is told to forget it"
    assert forged == undisturbed
    assert epochs == 1
    keyed.assert_empty()


def test_tools_with_other_keys_are_told(keyed, tmp_path):
    keyed.aorta("keys", "init", "--dir", tmp_path / "other")
    done = keyed.aorta("ps", "--set", f"security.keys_folder={tmp_path}/other", check=False)
    assert done.returncode == 3
    assert "other keys" in done.stderr
