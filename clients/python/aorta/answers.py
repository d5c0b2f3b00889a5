"""What is asked and what comes of it: one state machine, whether its reader blocks or awaits.

A Call is one exchange with the server. It knows what to send at first and what to send when the
connection had to be made anew; replies wait in it until its reader takes them. No input or output
happens in this file.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import (Any, Callable, Deque, Dict, List, Mapping, Optional, Sequence, Tuple, TypedDict,
                    Union)

from .errors import AnswerLost, AortaError, ConnectionLost, Failed, Rejected

Body = Dict[str, Any]
NextIndex = Union[int, List[int]]  # one for each choice


class Message(TypedDict, total=False):
    """One of a conversation, as OpenAI's: role is system, developer, user or assistant."""

    role: str
    content: Any


class Fields(TypedDict, total=False):
    """What a request may say, beside its question; docs/protocol.md has all. None is not sent."""

    model: Optional[str]  # a served model's id; the default model if not said
    prompt: Union[str, Sequence[int], None]  # raw text or ids, without a chat template
    n: Optional[int]  # answers to the same question
    max_tokens: Optional[int]
    min_tokens: Optional[int]
    temperature: Optional[float]  # 0 always takes the likeliest token
    top_p: Optional[float]
    top_k: Optional[int]
    min_p: Optional[float]
    presence_penalty: Optional[float]
    frequency_penalty: Optional[float]
    repetition_penalty: Optional[float]
    logit_bias: Optional[Mapping[str, float]]  # by token id
    logprobs: Optional[bool]
    top_logprobs: Optional[int]
    seed: Optional[int]  # the same seed gives the same answer
    stop: Union[str, Sequence[str], None]
    stop_token_ids: Optional[Sequence[int]]
    ignore_eos: Optional[bool]
    tier: Optional[str]  # urgent, high or normal
    tenant_class: Optional[str]
    timeout_ms: Optional[int]
    determinism: Optional[str]  # prefer or strict
    on_disconnect: Optional[str]  # cancel, park or finish
    idempotency_key: Optional[str]  # the same request under the same key is run once


# Of no tokens; docs/protocol.md says how it goes on.
NOTHING_DELIVERED = 0xcbf29ce484222325


def delivered_hash(ids: Sequence[int], before: int = NOTHING_DELIVERED) -> int:
    """FNV-1a over the four bytes of each id: what of an answer was delivered, in eight bytes."""
    for token in ids:
        for byte in token.to_bytes(4, "little"):
            before = (before ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return before


OWN = ("tier", "tenant_class", "timeout_ms", "determinism", "on_disconnect")


def request_body(question: Union[str, Sequence[Message], None], fields: Mapping[str, Any]) -> Body:
    """A request as it goes on the wire: Aorta's own fields under `aorta`, the rest as it is."""
    body = {name: value for name, value in fields.items() if value is not None}
    own = {name: body.pop(name) for name in OWN if name in body}
    if own:
        body["aorta"] = {**body.get("aorta", {}), **own}
    if question is not None:
        is_text = isinstance(question, str)
        body["messages"] = [{"role": "user", "content": question}] if is_text else list(question)
    return body


@dataclasses.dataclass(frozen=True)
class TokenLogprob:
    """Of one token; `bytes` is exact where `token` is not: it may stop inside a character."""

    token: str
    bytes: bytes
    logprob: float

    @classmethod
    def of(cls, entry: Body) -> "TokenLogprob":
        return cls(entry["token"], bytes(entry["bytes"]), entry["logprob"])


@dataclasses.dataclass(frozen=True)
class Logprob:
    """Of a generated token, and of the likeliest in its place."""

    chosen: TokenLogprob
    top: List[TokenLogprob]


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some tokens of an answer: `ids` begin at `index`; `text` may lag behind them. `reasoning` is
    the model's thinking, which comes before its text; `logprobs` has an entry for each id where
    they were asked for."""

    index: int
    ids: List[int]
    text: str
    reasoning: str = ""
    choice: int = 0
    logprobs: List[Logprob] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls, body: Body) -> "Piece":
        logprobs = [Logprob(TokenLogprob.of(one), [*map(TokenLogprob.of, one["top_logprobs"])])
                    for one in body.get("logprobs") or ()]
        return cls(body["index"], body["ids"], body["text"], body.get("reasoning", ""),
                   body.get("choice", 0), logprobs)


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

    @classmethod
    def of(cls, body: Body) -> "Status":
        return cls(body["ready"], body["reason"], body["models"], body["open_requests"])


class Choice:
    """One of the answers to a question, as far as it has come."""

    def __init__(self, next_index: int) -> None:
        self.ids: List[int] = []
        self.logprobs: List[Logprob] = []
        self.next_index = next_index  # of the next token: where a resume goes on
        self.result: Optional[Result] = None
        self.error: Optional[Failed] = None
        self._text: List[str] = []
        self._reasoning: List[str] = []

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def ended(self) -> bool:
        return self.result is not None or self.error is not None

    def _add(self, piece: Piece) -> None:
        if piece.index != self.next_index:
            raise AortaError("protocol", f"token {piece.index} came, not {self.next_index}")
        self.ids.extend(piece.ids)
        self.next_index += len(piece.ids)
        self._text.append(piece.text)
        self._reasoning.append(piece.reasoning)
        self.logprobs.extend(piece.logprobs)


def one_or_all(values: List[Any]) -> Any:
    return values[0] if len(values) == 1 else values


@dataclasses.dataclass
class Arrived:
    """How much of a choice has arrived, whether its reader has taken it or not."""

    next_index: int
    hash: Optional[int]  # of the tokens before that, where all of them are known
    end_text: bool = False  # the text that comes at the end, without tokens

    def take(self, index: int, ids: List[int]) -> bool:
        """False when it has this already: whoever resumes is told the end's text again."""
        if not ids and self.end_text:
            return False
        self.end_text = not ids
        self.next_index = index + len(ids)
        if self.hash is not None:
            self.hash = delivered_hash(ids, self.hash)
        return True

    @classmethod
    def at(cls, index: int) -> "Arrived":
        return cls(index, None if index else NOTHING_DELIVERED)


class Call:
    """An exchange: `verb` and `body` ask, one reply answers."""

    def __init__(self, verb: str, body: Body) -> None:
        self.id = ""  # set by its session
        self.retries_left = 0
        self.again_at: Optional[float] = None  # a server has no room just now: when to ask again
        self.abandoned = False  # nobody waits for it any more, but it is not known yet by name
        self.replies: Deque[Tuple[str, Body]] = collections.deque()
        self.wake: Callable[[], None] = lambda: None  # called when a reply has arrived
        self._verb, self._body = verb, body

    def opening(self) -> List[Tuple[str, Body]]:
        """What to send on a new connection, behind what has arrived on the old one."""
        return [(self._verb, self._body)]

    def arrive(self, verb: str, body: Body) -> bool:
        """Keeps a reply until it is taken; whether it is the last."""
        self.replies.append((verb, body))
        return True

    def lost(self, why: str) -> AortaError:
        """What to raise when its connection is gone for good."""
        return ConnectionLost(why)


class Answer(Call):
    """A `generate` or a `resume`, and what has come of it.

    Its first message is sent again while nothing has come: its idempotency key finds the request
    if it had been accepted. After the first token a `resume` goes on behind the last; it carries
    the request along, so that any server can generate the answer again, whoever has died.
    """

    def __init__(self, verb: str, body: Body, next_index: NextIndex = 0) -> None:
        super().__init__(verb, body)
        indices = [next_index] if isinstance(next_index, int) else next_index
        self.choices: List[Choice] = [Choice(index) for index in indices]
        self.request: str = body.get("request", "")  # 32 hex digits: what cancel and resume name
        self.model = ""
        self.seed: Optional[int] = None
        self.accepted = False
        self.is_open = True
        self._arrived = [Arrived.at(index) for index in indices]
        self._life = 0  # the latest that a server told
        self._ended = [False] * len(indices)  # of each choice, whether its end has arrived
        self._resuming = False
        self._cancelled = False

    @property
    def ids(self) -> List[int]:
        """All token ids that have come so far; of the first choice, as all that follows."""
        return self.choices[0].ids

    @property
    def text(self) -> str:
        """All text that has come so far."""
        return self.choices[0].text

    @property
    def reasoning(self) -> str:
        """What the model thought before its text."""
        return self.choices[0].reasoning

    @property
    def logprobs(self) -> List[Logprob]:
        """An entry for each id, where they were asked for."""
        return self.choices[0].logprobs

    @property
    def result(self) -> Result:
        """How it ended: to be asked when it has."""
        result = self.choices[0].result
        if result is None:
            raise AortaError("not_ended", "the answer has not ended: read it first")
        return result

    @property
    def next_index(self) -> NextIndex:
        """Where `client.resume()` goes on: the index of the next token, of each choice."""
        return one_or_all([choice.next_index for choice in self.choices])

    # ── For the client ──────────────────────────────────────────────────────────────────────

    def opening(self) -> List[Tuple[str, Body]]:
        self.again_at = None
        self._resuming = any(one.next_index for one in self._arrived)
        if self._resuming:
            messages: List[Tuple[str, Body]] = [("resume", self._where())]
        else:
            messages = [(self._verb, self._body)]
        if self._cancelled:
            messages.append(("cancel", {"request": self.request}))
        return messages

    def _where(self) -> Body:
        where = {"request": self.request, "life": self._life,
                 "next_index": one_or_all([one.next_index for one in self._arrived])}
        hashes = [one.hash for one in self._arrived if one.hash is not None]
        if len(hashes) == len(self._arrived):
            where["delivered_hash"] = one_or_all([f"{value:016x}" for value in hashes])
        if self._verb == "generate":
            where["generate"], where["seed"] = self._body, self.seed
        elif "generate" in self._body:
            where["generate"], where["seed"] = self._body["generate"], self._body.get("seed")
        return where

    def arrive(self, verb: str, body: Body) -> bool:
        if self._will_be_asked_again(verb, body):
            return False
        if verb == "accepted":
            self.request, self.seed = body["request"], body["seed"]
            self._life = body.get("life", 0)
            choices = body.get("choices", 1)
            self._ended += [False] * (choices - len(self._ended))
            self._arrived += [Arrived.at(0) for _ in range(choices - len(self._arrived))]
        elif verb == "tokens":
            if not self._arrived[body.get("choice", 0)].take(body["index"], body["ids"]):
                return False
        elif verb in ("done", "failed"):
            if self._ended[body.get("choice", 0)]:
                return False  # known before the cut
            self._ended[body.get("choice", 0)] = True
        self.replies.append((verb, body))
        return all(self._ended) or verb in ("rejected", "error")

    def _will_be_asked_again(self, verb: str, body: Body) -> bool:
        """What was accepted is not given up because a server has no room now, or leaves."""
        if not self.request or self.retries_left == 0:
            return False
        if verb == "failed" and body.get("code") == "shutting_down":
            wait_ms = 200
        elif verb == "rejected":
            wait_ms = body.get("retry_after_ms", 0)
        else:
            return False
        if wait_ms:
            self.retries_left -= 1
            self.again_at = time.monotonic() + wait_ms / 1000
        return wait_ms > 0

    def lost(self, why: str) -> AortaError:
        return ConnectionLost(why, self.request, self.next_index)

    def cancels_when_left(self) -> bool:
        """The caller said nothing else, but the key that finds it again after a cut would have the
        server park it."""
        return bool(self.request) and "on_disconnect" not in self._body.get("aorta", {})

    def take(self, verb: str, body: Body) -> Optional[Piece]:
        """Applies a reply; the piece that it brought, if it did. Raises what ends the answer."""
        if verb == "accepted":
            self._accept(body)
        elif verb == "tokens":
            piece = Piece.of(body)
            self.choices[piece.choice]._add(piece)
            return piece
        elif verb == "done":
            self.choices[body.get("choice", 0)].result = Result(
                body["finish_reason"], body["usage"], body["epochs"], body["same_numerics"])
            self._end_with_last_choice()
        elif verb == "failed":
            choice = self.choices[body.get("choice", 0)]
            choice.error = Failed(body["code"], body["message"], body["status"])
            self._end_with_last_choice()
        elif verb == "rejected":
            self.is_open = False
            if self._resuming and body.get("code") == "request_not_found":
                raise AnswerLost(self.request, sum(len(choice.ids) for choice in self.choices))
            raise Rejected(body)
        elif verb == "error":
            self.is_open = False
            raise AortaError("protocol", body["message"], 400)
        return None

    def _accept(self, body: Body) -> None:
        self.accepted = True
        self.model, self.seed = body["model"], body["seed"]
        while len(self.choices) < body.get("choices", 1):
            self.choices.append(Choice(0))

    def _end_with_last_choice(self) -> None:
        """The first failure of a choice is raised when all have come to their ends."""
        if not all(choice.ended for choice in self.choices):
            return
        self.is_open = False
        for choice in self.choices:
            if choice.error is not None:
                raise choice.error
