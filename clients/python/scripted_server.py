"""For tests: a server that answers by a script, and whose connections can be cut."""

from __future__ import annotations

import socket
import threading
from typing import Any, Callable, Dict, List, Tuple

import msgpack
import zmq

REQUEST = "0" * 31 + "1"
ACCEPTED = ("accepted", {"request": REQUEST, "model": "m", "seed": 7})
CUT = ("cut", {})  # in a script: close all connections, and listen again

Replies = List[Tuple[str, Dict[str, Any]]]
Script = Callable[[str, Dict[str, Any]], Replies]


def tokens(index: int, text: str, **more: Any) -> Tuple[str, Dict[str, Any]]:
    return "tokens", {"index": index, "ids": [index], "text": text, **more}


def done(finish_reason: str = "stop", **more: Any) -> Tuple[str, Dict[str, Any]]:
    return "done", {"finish_reason": finish_reason, "usage": {"completion_tokens": 2}, "epochs": 1,
                    "same_numerics": True, **more}


class Server:
    """Answers each message with what `script` makes of it, until it is stopped."""

    def __init__(self, script: Script, encrypted: bool = False) -> None:
        self.script = script
        self.public_key, self.secret_key = zmq.curve_keypair()
        self.encrypted = encrypted
        self.asked: List[Tuple[str, Dict[str, Any]]] = []
        # No message, which a cut could swallow.
        self.stopped, self.stopper = socket.socketpair()
        self.open()
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def open(self) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        if self.encrypted:
            self.socket.curve_secretkey, self.socket.curve_server = self.secret_key, True

    def run(self) -> None:
        while self.waits():
            peer, magic, verb, body = self.socket.recv_multipart()
            assert magic == b"AOR1"
            ask = msgpack.unpackb(body)
            self.asked.append((verb.decode(), ask))
            for answer, fields in self.script(verb.decode(), ask):
                if answer == "cut":
                    self.cut()
                    break
                reply = {"id": ask["id"], **fields} if "id" in ask else fields
                self.socket.send_multipart(
                    [peer, b"AOR1", answer.encode(), msgpack.packb(reply)])

        self.context.destroy(linger=0)

    def waits(self) -> bool:
        """Until there is something to read; False when it is to stop instead."""
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.stopped, zmq.POLLIN)
        return self.stopped.fileno() not in dict(poller.poll())

    def cut(self) -> None:
        """What was sent arrives; destroying a context waits until its port is free."""
        self.context.destroy(linger=1000)
        self.open()
        self.socket.bind(self.address)

    def stop(self) -> None:
        self.stopper.close()
        self.thread.join()
        self.stopped.close()
