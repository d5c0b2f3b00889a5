"""The same client for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, AsyncIterator, List, Optional, Sequence, Tuple, Union

import zmq
import zmq.asyncio

from .answers import Answer, Body, Call, Fields, Message, NextIndex, Piece, Status, request_body
from .channel import ADDRESS, Channel, Wait
from .errors import AortaError
from .session import next_reply, plain_reply

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncStream(Answer):
    """An answer on its way: `async for` its pieces. Afterwards `result` says how it ended."""

    def __init__(self, client: "AsyncClient", verb: str, body: Body,
                 next_index: NextIndex = 0) -> None:
        super().__init__(verb, body, next_index)
        self._client = client

    async def read(self) -> str:
        """Waits for the end and returns the whole text."""
        async for _ in self:
            pass
        return self.text

    def cancel(self) -> None:
        """Asks for the end. What is on its way still comes, then a result `cancelled`."""
        if self.is_open and self.request:
            self._cancelled = True
            self._client.cancel(self.request)

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        while self.is_open:
            piece = await self._next()
            if piece is not None:
                return piece
        raise StopAsyncIteration

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._client._channel.leave(self)
        self.is_open = False

    async def _next(self) -> Optional[Piece]:
        try:
            return self.take(*await self._client._reply_to(self))
        except AortaError:
            self.is_open = False
            self._client._channel.leave(self)
            raise


class AsyncClient:
    """A connection to an Aorta mesh for the tasks of one event loop, within which it is made.
    Its arguments are those of Client."""

    def __init__(self, address: Union[str, Sequence[str]] = ADDRESS, *,
                 api_key: Optional[str] = None,
                 server_key: Optional[str] = None, silence_s: float = 15.0,
                 connect_s: float = 5.0, retries: int = 3) -> None:
        self._channel = Channel(zmq.asyncio, address, api_key, server_key, silence_s, connect_s,
                                retries)
        self._reader = asyncio.ensure_future(self._read())

    async def close(self) -> None:
        """Leaves. What is open is cancelled, unless its `on_disconnect` says otherwise."""
        self._reader.cancel()
        await asyncio.wait([self._reader])
        self._channel.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def generate(self, question: Union[str, Sequence[Message], None] = None,
                       **fields: Unpack[Fields]) -> AsyncStream:
        """Asks, waits until that is accepted, and returns the answer's stream; as Client's."""
        body = self._channel.session.keyed(request_body(question, fields))
        return await self._open(AsyncStream(self, "generate", body))

    async def chat(self, messages: Sequence[Message], **fields: Unpack[Fields]) -> AsyncStream:
        """The next answer of a conversation."""
        return await self.generate(messages, **fields)

    async def resume(self, request: str, next_index: NextIndex = 0) -> AsyncStream:
        """Goes on with an answer at a token index (one for each choice), on any connection."""
        body = {"request": request, "next_index": next_index}
        return await self._open(AsyncStream(self, "resume", body, next_index))

    def cancel(self, request: str) -> None:
        """Asks for the end of a request, whoever reads it; its stream then ends `cancelled`."""
        self._channel.tell("cancel", {"request": request})

    async def models(self) -> List[str]:
        """The models that are served."""
        return list((await self._ask("models"))["models"])

    async def status(self) -> Status:
        """Whether the mesh can serve now."""
        return Status.of(await self._ask("status"))

    # ── Inside ──────────────────────────────────────────────────────────────────────────────

    async def _open(self, stream: AsyncStream) -> AsyncStream:
        self._channel.start(stream)
        try:
            while not stream.accepted:
                await stream._next()
        except BaseException:
            self._channel.leave(stream)
            raise
        return stream

    async def _ask(self, verb: str) -> Body:
        call = Call(verb, {})
        self._channel.start(call)
        await self._wait(call)
        return plain_reply(call)

    async def _reply_to(self, stream: AsyncStream) -> Tuple[str, Body]:
        await self._wait(stream)
        return next_reply(stream)

    async def _wait(self, call: Call) -> None:
        """Returns when a reply has arrived, were it that the connection is lost."""
        arrived = asyncio.Event()
        call.wake = arrived.set
        wait = Wait(self._channel, call)
        while not call.replies:
            arrived.clear()
            try:
                await asyncio.wait_for(arrived.wait(), wait.left_s)
            except asyncio.TimeoutError:
                self._step(wait)

    def _step(self, wait: Wait) -> None:
        before = self._channel.connection
        wait.step()
        if self._channel.connection is not before:
            self._reader.cancel()  # it waits for what is closed
            self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        """Takes what comes, for all calls."""
        while True:
            connection = self._channel.connection
            ready = dict(await connection.poller.poll())
            # What does not wait is not suspended: nobody closes the connection meanwhile.
            cut = connection.monitor in ready and connection.saw(
                await connection.monitor.recv_multipart(zmq.DONTWAIT))
            try:
                while True:  # also what came before a cut
                    self._channel.arrive(
                        await connection.socket.recv_multipart(zmq.DONTWAIT))
            except zmq.Again:
                pass
            if cut:
                self._channel.cut()
