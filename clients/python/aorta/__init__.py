"""Aorta over ZeroMQ, blocking and asyncio.

    import aorta
    with aorta.Client() as client:
        for piece in client.generate("Why is the sky blue?", max_tokens=60):
            print(piece.text, end="", flush=True)

    async with aorta.AsyncClient() as client:
        stream = await client.generate("Why is the sky blue?", max_tokens=60)
        async for piece in stream:
            print(piece.text, end="", flush=True)

A connection that is cut or falls silent is made anew, and every open answer goes on at the very
token where it stopped; `retries=0` turns that off. A refusal is never tried again in here: it is a
`Rejected` with `retry_after` in seconds, and when to come back is the caller's to decide.
"""

from .aio import AsyncClient, AsyncStream
from .answers import Choice, Fields, Logprob, Message, Piece, Result, Status, TokenLogprob
from .client import Client, Stream
from .errors import AnswerLost, AortaError, ConnectionLost, Failed, Rejected

__all__ = [
    "AnswerLost", "AortaError", "AsyncClient", "AsyncStream", "Choice", "Client", "ConnectionLost",
    "Failed", "Fields", "Logprob", "Message", "Piece", "Rejected", "Result", "Status", "Stream",
    "TokenLogprob",
]
