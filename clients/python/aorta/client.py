"""The blocking client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Sequence, Tuple, Union

import zmq

from .answers import Answer, Body, Call, Fields, Message, NextIndex, Piece, Status, request_body
from .channel import ADDRESS, Channel, Wait
from .errors import AortaError
from .session import next_reply, plain_reply

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Stream(Answer):
    """An answer on its way: iterate for its pieces. Afterwards `result` says how it ended."""

    def __init__(self, client: "Client", verb: str, body: Body, next_index: NextIndex = 0) -> None:
        super().__init__(verb, body, next_index)
        self._client = client

    def read(self) -> str:
        """Waits for the end and returns the whole text."""
        for _ in self:
            pass
        return self.text

    def cancel(self) -> None:
        """Asks for the end. What is on its way still comes, then a result `cancelled`."""
        if self.is_open and self.request:
            self._cancelled = True
            self._client.cancel(self.request)

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        while self.is_open:
            piece = self._next()
            if piece is not None:
                return piece
        raise StopIteration

    def __enter__(self) -> "Stream":
        """Leaving the block before the answer's end cancels it."""
        return self

    def __exit__(self, *_: Any) -> None:
        self._client._channel.leave(self)
        self.is_open = False

    def _next(self) -> Optional[Piece]:
        try:
            return self.take(*self._client._reply_to(self))
        except AortaError:
            self.is_open = False
            self._client._channel.leave(self)
            raise


class Client:
    """A connection to an Aorta mesh. Several streams may be open at once; it is for one thread.

    `address`: of an admission, or of several: then a connection that is cut leads to the next one,
    where each open answer is generated again up to what has come, and goes on from there.
    `api_key`: where the mesh wants one (or the environment's AORTA_API_KEY). `server_key`: the
    server's CURVE key or a file with it; the connection is then encrypted. `retries`: how often in
    a row a connection that is cut, or silent for `silence_s`, is made anew, whereupon every open
    answer goes on where it stopped; with 0 that is a ConnectionLost at once. `connect_s`: how long
    the first contact may take.
    """

    def __init__(self, address: Union[str, Sequence[str]] = ADDRESS, *,
                 api_key: Optional[str] = None,
                 server_key: Optional[str] = None, silence_s: float = 15.0,
                 connect_s: float = 5.0, retries: int = 3) -> None:
        self._channel = Channel(zmq, address, api_key, server_key, silence_s, connect_s, retries)

    def close(self) -> None:
        """Leaves. What is open is cancelled, unless its `on_disconnect` says otherwise."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def generate(self, question: Union[str, Sequence[Message], None] = None,
                 **fields: Unpack[Fields]) -> Stream:
        """Asks, waits until that is accepted, and returns the answer's stream.

        `question` is a text or a conversation; the field `prompt` instead is raw text or token
        ids, without a chat template. Fields that `Fields` does not list go as they are.
        Raises Rejected, with `retry_after` where that helps.
        """
        body = self._channel.session.keyed(request_body(question, fields))
        return self._open(Stream(self, "generate", body))

    def chat(self, messages: Sequence[Message], **fields: Unpack[Fields]) -> Stream:
        """The next answer of a conversation."""
        return self.generate(messages, **fields)

    def resume(self, request: str, next_index: NextIndex = 0) -> Stream:
        """Goes on with an answer at a token index (one for each choice), on any connection."""
        body = {"request": request, "next_index": next_index}
        return self._open(Stream(self, "resume", body, next_index))

    def cancel(self, request: str) -> None:
        """Asks for the end of a request, whoever reads it; its stream then ends `cancelled`."""
        self._channel.tell("cancel", {"request": request})

    def models(self) -> List[str]:
        """The models that are served."""
        return list(self._ask("models")["models"])

    def status(self) -> Status:
        """Whether the mesh can serve now."""
        return Status.of(self._ask("status"))

    # ── Inside ──────────────────────────────────────────────────────────────────────────────

    def _open(self, stream: Stream) -> Stream:
        self._channel.start(stream)
        try:
            while not stream.accepted:
                stream._next()
        except BaseException:
            self._channel.leave(stream)
            raise
        return stream

    def _ask(self, verb: str) -> Body:
        call = Call(verb, {})
        self._channel.start(call)
        self._wait(call)
        return plain_reply(call)

    def _reply_to(self, stream: Stream) -> Tuple[str, Body]:
        self._wait(stream)
        return next_reply(stream)

    def _wait(self, call: Call) -> None:
        """Returns when a reply has arrived, were it that the connection is lost."""
        wait = Wait(self._channel, call)
        while not call.replies:
            self._read(wait.left_s)
            wait.step()

    def _read(self, seconds: float) -> None:
        """Takes what comes within that time."""
        connection = self._channel.connection
        ready = dict(connection.poller.poll(seconds * 1000))
        cut = connection.monitor in ready and connection.saw(connection.monitor.recv_multipart())
        while connection.socket.poll(0):  # also what came before a cut
            self._channel.arrive(connection.socket.recv_multipart())
        if cut:
            self._channel.cut()
