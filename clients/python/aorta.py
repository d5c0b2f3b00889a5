"""Aorta over ZeroMQ: one file, needs pyzmq and msgpack (Debian: python3-zmq python3-msgpack).

    import aorta
    with aorta.Client() as client:
        for piece in client.generate("Why is the sky blue?", max_tokens=60):
            print(piece.text, end="", flush=True)

Nothing is tried again in here: a refusal is a `Rejected` with `retry_after` in seconds, and a
connection that went silent is a `ConnectionLost` from which `client.resume()` goes on. Both are
the caller's to decide on. A Client is for one thread.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import Any, Deque, Dict, Iterator, List, Optional, Sequence, Union

import msgpack
import zmq

__all__ = [
    "AortaError", "Client", "ConnectionLost", "Failed", "Piece", "Rejected", "Result", "Status",
    "Stream",
]

MAGIC = b"AOR1"


class AortaError(Exception):
    """Something went wrong; `reason` is a short code for programs, the text is for people."""

    def __init__(self, reason: str, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class Rejected(AortaError):
    """Not accepted. `retry_after` is in seconds, None where trying again would not help."""

    def __init__(self, body: Dict[str, Any]) -> None:
        super().__init__(body.get("code", ""), body.get("message", ""), body.get("status", 400))
        self.param: str = body.get("param", "")
        wait_ms = body.get("retry_after_ms", 0)
        self.retry_after: Optional[float] = wait_ms / 1000 if wait_ms else None


class Failed(AortaError):
    """Accepted, but ended in an error; nothing that was delivered is taken back."""


class ConnectionLost(AortaError):
    """Nobody answered for too long. `client.resume(error.request, error.next_index)` goes on
    where it stopped, on this connection or a new one; `request` is empty when the server had not
    accepted yet."""

    def __init__(self, seconds: float, request: str, next_index: int) -> None:
        super().__init__("connection_lost", f"no answer for {seconds:g} s")
        self.request = request
        self.next_index = next_index


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some tokens of an answer: `ids` begin at `index`; `text` may lag behind them."""

    index: int
    ids: List[int]
    text: str


@dataclasses.dataclass(frozen=True)
class Result:
    """How an answer ended. `finish_reason`: stop, length, cancelled or timeout."""

    finish_reason: str
    usage: Dict[str, int]
    epochs: int
    same_numerics: bool


@dataclasses.dataclass(frozen=True)
class Status:
    """Whether a request could be served now, and why not."""

    ready: bool
    reason: str
    models: List[str]
    open_requests: int


class Stream:
    """An answer on its way: iterate for its pieces. Afterwards `result` says how it ended."""

    def __init__(self, client: "Client", id: str, next_index: int) -> None:
        self._client = client
        self._id = id
        self._replies: Deque[Any] = collections.deque()
        self._text: List[str] = []
        self.request = ""  # 32 hex digits once accepted: what cancel() and resume() name
        self.model = ""
        self.seed: Optional[int] = None
        self.ids: List[int] = []
        self.next_index = next_index  # of the next token: where a resume goes on
        self.result: Optional[Result] = None
        self._open = True

    @property
    def text(self) -> str:
        """All text that has come so far."""
        return "".join(self._text)

    def read(self) -> str:
        """Waits for the end and returns the whole text."""
        for _ in self:
            pass
        return self.text

    def cancel(self) -> None:
        """Asks for the end. What is on its way still comes, then a result `cancelled`."""
        if self._open and self.request:
            self._client.cancel(self.request)

    def __iter__(self) -> Iterator[Piece]:
        while self._open:
            piece = self._next()
            if piece is not None:
                yield piece

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: Any) -> None:
        self.cancel()
        self._end()

    def _accept(self) -> None:
        while self._open and not self.request:
            self._next()

    def _end(self) -> None:
        self._open = False
        self._client._streams.pop(self._id, None)

    def _next(self) -> Optional[Piece]:
        try:
            verb, body = self._client._reply_to(self)
            return self._take(verb, body)
        except AortaError:
            self._end()
            raise

    def _take(self, verb: str, body: Dict[str, Any]) -> Optional[Piece]:
        if verb == "accepted":
            self.request, self.model = body["request"], body["model"]
            self.seed = body["seed"]
        elif verb == "tokens":
            piece = Piece(body["index"], body["ids"], body["text"])
            self.ids.extend(piece.ids)
            self._text.append(piece.text)
            self.next_index = piece.index + len(piece.ids)
            return piece
        elif verb == "done":
            self._end()
            self.result = Result(body["finish_reason"], body["usage"], body["epochs"],
                                 body["same_numerics"])
        elif verb == "failed":
            raise Failed(body["code"], body["message"], body["status"])
        elif verb == "rejected":
            raise Rejected(body)
        elif verb == "error":
            raise AortaError("protocol", body["message"], 400)
        return None


class Client:
    """A connection to an Aorta mesh. Several streams may be open at once.

    `silence_s`: for how long nothing may come before ConnectionLost; the server says `waiting`
    each second, so a few seconds mean that nobody is there.
    """

    def __init__(self, address: str = "tcp://127.0.0.1:8081", silence_s: float = 15.0) -> None:
        self._silence_s = silence_s
        self._streams: Dict[str, Stream] = {}
        self._answers: Dict[str, Any] = {}  # to models and status
        self._last_id = 0
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 200)
        # A host that dies says no goodbye: heartbeats find out.
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
        self._socket.connect(address)

    def close(self) -> None:
        """Leaves. What is open does as its `on_disconnect` says; by default it is cancelled."""
        self._streams.clear()
        self._socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def generate(
        self,
        question: Union[str, Sequence[Dict[str, Any]], None] = None,
        *,
        model: str = "default",
        prompt: Union[str, Sequence[int], None] = None,
        max_tokens: Optional[int] = None,
        temperature: Optional[float] = None,
        seed: Optional[int] = None,
        stop: Union[str, Sequence[str], None] = None,
        tier: Optional[str] = None,
        timeout_ms: Optional[int] = None,
        determinism: Optional[str] = None,
        on_disconnect: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        **more: Any,
    ) -> Stream:
        """Asks, waits until that is accepted, and returns the answer's stream.

        `question` is a text or a list of OpenAI's messages; `prompt` instead is raw text or token
        ids, without a chat template. `more` goes as it is: top_p, top_k, min_p, logit_bias, …
        Raises Rejected, with `retry_after` where that helps.
        """
        own = {"tier": tier, "timeout_ms": timeout_ms, "determinism": determinism,
               "on_disconnect": on_disconnect}
        body: Dict[str, Any] = {
            "model": model, "prompt": prompt, "max_tokens": max_tokens, "seed": seed,
            "temperature": temperature, "stop": stop, "idempotency_key": idempotency_key, **more}
        if question is not None:
            is_text = isinstance(question, str)
            body["messages"] = [{"role": "user", "content": question}] if is_text else question
        own = {name: value for name, value in own.items() if value is not None}
        if own:
            body["aorta"] = {**body.get("aorta", {}), **own}
        return self._open("generate", body, 0)

    def resume(self, request: str, next_index: int = 0) -> Stream:
        """Goes on with an answer at a token index, on any connection."""
        return self._open("resume", {"request": request, "next_index": next_index}, next_index)

    def cancel(self, request: str) -> None:
        """Asks for the end of a request, whoever reads it; its stream then ends `cancelled`."""
        self._send("cancel", {"request": request})

    def models(self) -> List[str]:
        """The models that are served."""
        return list(self._ask("models")["models"])

    def status(self) -> Status:
        """Whether the mesh can serve now."""
        body = self._ask("status")
        return Status(body["ready"], body["reason"], body["models"], body["open_requests"])

    # ── Inside ──────────────────────────────────────────────────────────────────────────────

    def _send(self, verb: str, body: Dict[str, Any]) -> None:
        body = {name: value for name, value in body.items() if value is not None}
        try:
            frames = [MAGIC, verb.encode(), msgpack.packb(body)]
            self._socket.send_multipart(frames, flags=zmq.DONTWAIT)
        except zmq.Again:
            raise ConnectionLost(0, "", 0) from None

    def _new_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    def _open(self, verb: str, body: Dict[str, Any], next_index: int) -> Stream:
        stream = Stream(self, self._new_id(), next_index)
        self._send(verb, {**body, "id": stream._id})
        self._streams[stream._id] = stream
        stream._accept()
        return stream

    def _ask(self, verb: str) -> Dict[str, Any]:
        id = self._new_id()
        self._send(verb, {"id": id})
        self._answers[id] = None
        deadline = time.monotonic() + self._silence_s
        try:
            while self._answers[id] is None:
                if not self._read(deadline - time.monotonic()):
                    raise ConnectionLost(self._silence_s, "", 0)
            return self._answers[id]
        finally:
            del self._answers[id]

    def _reply_to(self, stream: Stream) -> Any:
        deadline = time.monotonic() + self._silence_s
        while not stream._replies:
            if not self._read(deadline - time.monotonic()):
                raise ConnectionLost(self._silence_s, stream.request, stream.next_index)
        return stream._replies.popleft()

    def _read(self, seconds: float) -> bool:
        """Takes one message to whom it belongs; False when none came."""
        if not self._socket.poll(max(0, int(seconds * 1000))):
            return False
        frames = self._socket.recv_multipart()
        if len(frames) != 3 or frames[0] != MAGIC:
            return True  # not our protocol: nobody waits for it
        verb, body = frames[1].decode(), msgpack.unpackb(frames[2])
        id = body.get("id", "")
        if id in self._streams:
            self._streams[id]._replies.append((verb, body))
        elif id in self._answers:
            self._answers[id] = body
        return True
