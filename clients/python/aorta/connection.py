"""One ZeroMQ socket to a server, and what its monitor tells of it."""

from __future__ import annotations

import os
import uuid
from typing import Any, List, Optional

import zmq
from zmq.utils.monitor import parse_monitor_message

FAILED = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the connection is closed in the handshake",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "its handshake is of another kind",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "it does not let this client in",
}
WATCHED = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | sum(FAILED)


def public_key(text: str) -> bytes:
    """The server's CURVE key: its 40 characters, or the path of a file whose last line they are."""
    if os.path.exists(text):
        with open(text, encoding="ascii") as file:
            text = file.read().split()[-1]
    if len(text) != 40:
        raise ValueError(f"server_key is no key of 40 characters and no file: {text!r}")
    return text.encode()


class Connection:
    """Dials `address`; libzmq goes on dialling until somebody is there. `library` is the module
    `zmq`, or `zmq.asyncio` for sockets that are awaited."""

    def __init__(self, library: Any, address: str, server_key: Optional[str]) -> None:
        self.address = address
        self.up = False
        self._trouble = ""
        curve = public_key(server_key) if server_key else None
        self.socket = library.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 200)
        # A host that dies says no goodbye: heartbeats find out.
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
        if curve:
            self.socket.curve_publickey, self.socket.curve_secretkey = zmq.curve_keypair()
            self.socket.curve_serverkey = curve
        self.monitor = self.socket.get_monitor_socket(WATCHED, f"inproc://aorta-{uuid.uuid4()}")
        self.poller = library.Poller()
        self.poller.register(self.socket, zmq.POLLIN)
        self.poller.register(self.monitor, zmq.POLLIN)
        self.socket.connect(address)

    def saw(self, frames: List[bytes]) -> bool:
        """Takes what the monitor says; whether a connection that was up is gone."""
        event: Any = parse_monitor_message(frames)
        if event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.up, self._trouble = True, ""
        elif event["event"] == zmq.EVENT_DISCONNECTED:
            return self.up
        else:
            self._trouble = FAILED[event["event"]]
        return False

    def silence(self, seconds: float) -> str:
        """A sentence for when nobody answered for so long."""
        if self.up:
            return f"no answer from {self.address} for {seconds:g} s"
        if self._trouble:
            return (f"no connection to {self.address}: {self._trouble}; is this aorta's ZeroMQ "
                    "port, and is server_key its own?")
        return f"nobody answers at {self.address}"

    def send(self, frames: List[bytes]) -> bool:
        """Never waits; False when there is no room. asyncio's sockets answer with a future, which
        is done when they do not wait."""
        try:
            sent = self.socket.send_multipart(frames, flags=zmq.DONTWAIT)
            if sent is not None:
                sent.result()
            return True
        except zmq.Again:
            return False

    def close(self) -> None:
        if self.socket.closed:
            return
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close()
