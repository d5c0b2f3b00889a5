"""A session on a connection, made anew when it is cut: what both clients do without waiting."""

from __future__ import annotations

import time
from typing import Any, List, Optional, Sequence, Union

from .answers import Answer, Body, Call
from .connection import Connection
from .errors import ConnectionLost
from .session import Session

ADDRESS = "tcp://127.0.0.1:8081"


class Channel:
    """`silence_s`: for how long nothing may come before the connection counts as cut; the server
    says `waiting` each second, but keeps a request for 10 s before it accepts it when executors
    are only just starting. `connect_s`: how long the first contact may take. Of several addresses
    each cut leads to the next one."""

    def __init__(self, library: Any, address: Union[str, Sequence[str]], api_key: Optional[str],
                 server_key: Optional[str], silence_s: float, connect_s: float,
                 retries: int) -> None:
        self.session = Session(api_key, retries)
        self._addresses = [address] if isinstance(address, str) else list(address)
        if not self._addresses:
            raise ValueError("an address at least is needed")
        self._library, self._server_key = library, server_key
        self._silence_s, self._connect_s = silence_s, connect_s
        self._met = False  # a server, once
        self._at = 0
        self.connection = Connection(library, self._addresses[0], server_key)

    @property
    def patience_s(self) -> float:
        """How long a call may wait for its next reply."""
        self._met = self._met or self.connection.up
        elsewhere = len(self._addresses) > 1 and not self.connection.up
        return self._silence_s if self._met and not elsewhere else self._connect_s

    def start(self, call: Call) -> None:
        for frames in self.session.start(call):
            if not self.connection.send(frames):
                self.session.forget(call)
                raise ConnectionLost(self.connection.silence(0))

    def tell(self, verb: str, body: Body) -> None:
        """Says something that is not answered."""
        self.connection.send(self.session.frames(verb, body))

    def arrive(self, frames: List[bytes]) -> None:
        """Takes a message of the server's."""
        for reply in self.session.arrive(frames):
            self.connection.send(reply)

    def leave(self, answer: Answer) -> None:
        """Nobody reads it any more: it is cancelled, unless its request says `on_disconnect`."""
        for frames in self.session.leave(answer):
            self.connection.send(frames)

    def silent(self, call: Call) -> None:
        """Nothing came for it within our patience."""
        why = self.connection.silence(self.patience_s)
        if call.retries_left == 0 or not (self._met or len(self._addresses) > 1):
            self.session.lose(call, why)
        else:
            self.renew(why)

    def renew(self, why: str) -> None:
        """Moves all calls to a new connection, before the old one says goodbye: so the server sees
        no moment without a reader."""
        self._at = (self._at + 1) % len(self._addresses)
        old, self.connection = self.connection, Connection(
            self._library, self._addresses[self._at], self._server_key)
        for frames in self.session.renew(why):
            self.connection.send(frames)
        old.close()

    def cut(self) -> None:
        """The connection's monitor says that it is gone."""
        self._met = True
        self.renew(f"the connection to {self.connection.address} was cut")

    def ask_again(self, call: Call) -> None:
        """A server had no room for it; perhaps it has now."""
        for frames in self.session.ask_again(call):
            self.connection.send(frames)

    def close(self) -> None:
        for frames in self.session.farewell():
            self.connection.send(frames)
        self.connection.close()


class Wait:
    """A call's wait for its next reply, which a reader does in steps of at most `left_s`."""

    def __init__(self, channel: Channel, call: Call) -> None:
        self._channel, self._call = channel, call
        self._begin()

    @property
    def left_s(self) -> float:
        until = self._since + self._channel.patience_s
        if self._call.again_at is not None:
            until = self._call.again_at
        return max(0.0, until - time.monotonic())

    def step(self) -> None:
        """After each: a new connection has our whole patience, a silent one none."""
        if self._channel.connection is not self._connection:
            self._begin()
        elif self._call.again_at is not None:
            if self.left_s == 0:
                self._channel.ask_again(self._call)
                self._begin()
        elif not self._call.replies and self.left_s == 0:
            self._channel.silent(self._call)
            self._begin()

    def _begin(self) -> None:
        self._connection, self._since = self._channel.connection, time.monotonic()
