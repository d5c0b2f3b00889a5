"""What is open on a client's connection, and how it goes on when that is cut. No input or output
happens in this file: frames go in and out.
"""

from __future__ import annotations

import os
import uuid
from typing import Dict, List, Optional, Sequence, Tuple

import msgpack

from .answers import Answer, Body, Call
from .errors import AortaError, Rejected

MAGIC = b"AOR1"
LOST = "lost"  # a verb of our own: the connection is gone, and no retry is left
Frames = List[bytes]


class Session:
    """The calls of one client, by id."""

    def __init__(self, api_key: Optional[str], retries: int) -> None:
        self._api_key = os.environ.get("AORTA_API_KEY") if api_key is None else api_key
        self._retries = retries
        self._calls: Dict[str, Call] = {}
        self._last_id = 0

    def keyed(self, body: Body) -> Body:
        """With a key of its own, a request that is sent again after a cut is not run twice."""
        if self._retries > 0:
            body.setdefault("idempotency_key", uuid.uuid4().hex)
        return body

    def start(self, call: Call) -> List[Frames]:
        """Registers a call; the frames that ask it."""
        self._last_id += 1
        call.id = str(self._last_id)
        call.retries_left = self._retries
        self._calls[call.id] = call
        return self._frames_of(call)

    def forget(self, call: Call) -> None:
        """Nobody waits for it any more."""
        self._calls.pop(call.id, None)

    def leave(self, answer: Answer) -> List[Frames]:
        """Nobody reads it any more. Before it is accepted it has no name to cancel it by."""
        answer.abandoned = answer.is_open and not answer.request
        if answer.abandoned:
            return []
        self.forget(answer)
        return self._cancels([answer] if answer.is_open else [])

    def arrive(self, frames: Sequence[bytes]) -> List[Frames]:
        """Hands a message to whom it belongs, if anybody still waits for it; what to send then."""
        if len(frames) != 3 or frames[0] != MAGIC:
            return []  # not our protocol
        verb, body = frames[1].decode(), msgpack.unpackb(frames[2])
        call = self._calls.get(body.get("id", ""))
        if call is None:
            return []
        if call.abandoned and verb == "accepted":
            self.forget(call)
            return [self.frames("cancel", {"request": body["request"]})]
        if verb in ("tokens", "waiting"):
            call.retries_left = self._retries
        if call.arrive(verb, body):
            self.forget(call)
        call.wake()
        return []

    def renew(self, why: str) -> List[Frames]:
        """The connection is gone: what to send on the next one. Calls without a retry are lost."""
        again: List[Frames] = []
        for call in self.open_calls():
            if call.retries_left == 0 or call.abandoned:
                self.lose(call, why)
            else:
                call.retries_left -= 1
                again += self._frames_of(call)
        return again

    def ask_again(self, call: Call) -> List[Frames]:
        """On the same connection, behind what has arrived."""
        return self._frames_of(call)

    def lose(self, call: Call, why: str) -> None:
        """Its reader learns it behind what has arrived."""
        self.forget(call)
        call.replies.append((LOST, {"why": why}))
        call.wake()

    def open_calls(self) -> List[Call]:
        return list(self._calls.values())

    def farewell(self) -> List[Frames]:
        """Cancels what would otherwise be kept for a client that does not come back."""
        answers = [call for call in self.open_calls() if isinstance(call, Answer)]
        self._calls.clear()
        return self._cancels(answers)

    def frames(self, verb: str, body: Body) -> Frames:
        if self._api_key:
            body = {**body, "api_key": self._api_key}
        return [MAGIC, verb.encode(), msgpack.packb(body)]

    def _cancels(self, answers: List[Answer]) -> List[Frames]:
        return [self.frames("cancel", {"request": answer.request})
                for answer in answers if answer.cancels_when_left()]

    def _frames_of(self, call: Call) -> List[Frames]:
        return [self.frames(verb, body if verb == "cancel" else {**body, "id": call.id})
                for verb, body in call.opening()]


def next_reply(call: Call) -> Tuple[str, Body]:
    """Takes a reply that has arrived; raises when the connection is gone for good."""
    verb, body = call.replies.popleft()
    if verb == LOST:
        raise call.lost(body["why"])
    return verb, body


def plain_reply(call: Call) -> Body:
    """The one reply of a call that is no answer."""
    verb, body = next_reply(call)
    if verb == "rejected":
        raise Rejected(body)
    if verb == "error":
        raise AortaError("protocol", body["message"], 400)
    return body
