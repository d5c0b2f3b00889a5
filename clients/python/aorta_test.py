"""The client against a scripted server: /usr/bin/python3 -m unittest discover -s clients/python -p '*_test.py'"""

from __future__ import annotations

import threading
import unittest
from typing import Any, Callable, Dict, List, Tuple

import msgpack
import zmq

import aorta

REQUEST = "0" * 31 + "1"
ACCEPTED = ("accepted", {"request": REQUEST, "model": "m", "seed": 7})
DONE = ("done", {"finish_reason": "stop", "usage": {"completion_tokens": 2}, "epochs": 1,
                 "same_numerics": True})
Replies = List[Tuple[str, Dict[str, Any]]]


class Server:
    """Answers each message with what `script` makes of it, until told to stop."""

    def __init__(self, script: Callable[[str, Dict[str, Any]], Replies]) -> None:
        self.script = script
        self.asked: List[Tuple[str, Dict[str, Any]]] = []
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while True:
            peer, magic, verb, body = self.socket.recv_multipart()
            assert magic == b"AOR1"
            if verb == b"stop":
                return self.socket.close(linger=0)
            ask = msgpack.unpackb(body)
            self.asked.append((verb.decode(), ask))
            for answer, fields in self.script(verb.decode(), ask):
                reply = {"id": ask["id"], **fields} if "id" in ask else fields
                self.socket.send_multipart(
                    [peer, b"AOR1", answer.encode(), msgpack.packb(reply)])

    def stop(self) -> None:
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.connect(self.address)
        socket.send_multipart([b"AOR1", b"stop", b"\x80"])
        self.thread.join()
        socket.close(linger=0)


def tokens(index: int, text: str) -> Tuple[str, Dict[str, Any]]:
    return "tokens", {"index": index, "ids": [index], "text": text}


class ClientTest(unittest.TestCase):
    def client(self, script: Callable[[str, Dict[str, Any]], Replies],
               silence_s: float = 10) -> aorta.Client:
        self.server = Server(script)
        client = aorta.Client(self.server.address, silence_s)
        self.addCleanup(self.server.stop)
        self.addCleanup(client.close)
        return client

    def test_streams_an_answer(self) -> None:
        client = self.client(
            lambda verb, ask: [ACCEPTED, ("waiting", {}), tokens(0, "Be"), tokens(1, "cause"), DONE])
        stream = client.generate("Why?", max_tokens=2, tier="urgent", top_k=3)
        self.assertEqual([piece.text for piece in stream], ["Be", "cause"])
        self.assertEqual((stream.text, stream.ids, stream.next_index), ("Because", [0, 1], 2))
        self.assertEqual(stream.result.finish_reason, "stop")
        self.assertEqual((stream.request, stream.seed), (REQUEST, 7))
        verb, body = self.server.asked[0]
        self.assertEqual(body, {"id": "1", "model": "default", "max_tokens": 2, "top_k": 3,
                                "messages": [{"role": "user", "content": "Why?"}],
                                "aorta": {"tier": "urgent"}})

    def test_streams_side_by_side(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, ask["prompt"]), DONE])
        first, second = client.generate(prompt="a"), client.generate(prompt="b")
        self.assertEqual((second.read(), first.read()), ("b", "a"))

    def test_a_refusal_says_when_to_try_again(self) -> None:
        client = self.client(lambda verb, ask: [("rejected", {
            "status": 429, "code": "queue_full", "message": "Full.", "param": "",
            "retry_after_ms": 1500})])
        with self.assertRaises(aorta.Rejected) as caught:
            client.generate("Why?")
        self.assertEqual((caught.exception.reason, caught.exception.retry_after),
                         ("queue_full", 1.5))

    def test_a_failure_keeps_what_came(self) -> None:
        client = self.client(lambda verb, ask: [
            ACCEPTED, tokens(0, "Be"),
            ("failed", {"status": 500, "code": "poison", "message": "Broken."})])
        stream = client.generate("Why?")
        with self.assertRaises(aorta.Failed):
            stream.read()
        self.assertEqual(stream.text, "Be")

    def test_silence_says_where_to_go_on(self) -> None:
        client = self.client(
            lambda verb, ask: [ACCEPTED, tokens(ask.get("next_index", 0), "x")]
            + ([DONE] if verb == "resume" else []), silence_s=0.05)
        stream = client.generate("Why?")
        with self.assertRaises(aorta.ConnectionLost) as caught:
            stream.read()
        self.assertEqual((caught.exception.request, caught.exception.next_index), (REQUEST, 1))
        resumed = client.resume(REQUEST, 1)
        self.assertEqual(resumed.read(), "x")
        self.assertEqual(resumed.next_index, 2)

    def test_leaving_a_stream_cancels_it(self) -> None:
        client = self.client(lambda verb, ask: [("models", {"models": ["m"]})]
                             if verb == "models" else [ACCEPTED, tokens(0, "x")])
        with client.generate("Why?") as stream:
            next(iter(stream))
        self.assertEqual(client.models(), ["m"])  # after the cancel, on the same socket
        self.assertIn(("cancel", {"request": REQUEST}), self.server.asked)


if __name__ == "__main__":
    unittest.main()
