"""What can go wrong."""

from __future__ import annotations

from typing import Any, Dict, Optional


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
    """Nobody answers. `client.resume(error.request, error.next_index)` goes on where it stopped,
    on this client or another; `request` is empty when the server had not accepted yet."""

    def __init__(self, message: str, request: str = "", next_index: Any = 0) -> None:
        super().__init__("connection_lost", message)
        self.request = request
        self.next_index = next_index


class AnswerLost(AortaError):
    """The connection was cut, and the server that answers now does not know the request: it was
    restarted, or the cut outlasted the time for which it keeps answers. What came before the cut
    is in the stream; the rest must be asked for anew."""

    def __init__(self, request: str, tokens: int) -> None:
        super().__init__(
            "answer_lost", f"the server does not know request {request} any more: it was "
            f"restarted, or the connection was cut for too long; {tokens} tokens had come", 404)
        self.request = request
