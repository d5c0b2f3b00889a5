"""Clients of an OpenAI-like server in a closed loop: each asks its next question when its answer has ended. One asyncio
process that counts events without parsing them, since it shares its cores with what it measures.
"""

import asyncio
import dataclasses
import json
import random
import time

import figures

WORDS = """river stone window market garden letter winter bridge engine pepper candle forest silver doctor
island mirror harbor kitchen pocket thunder village blanket captain feather journey lantern meadow needle
orchard pencil ribbon saddle temple valley wagon yellow anchor basket cotton desert""".split()
TOKEN = b'"finish_reason":null'  # in each event that brings text, and in no other, of both servers
END = b"data: [DONE]"


def prompt(number, words, prefix=""):
    """Text that no other number's begins like, unless they share `prefix`; about a token a word and 10 more."""
    chosen = random.Random(number)
    return f"{prefix}Note {number * 7919 % 1000003}: " + " ".join(chosen.choices(WORDS, k=words))


@dataclasses.dataclass
class Answer:
    begun: float
    times: list = dataclasses.field(default_factory=list)  # of its tokens, as they arrived
    usage: dict = dataclasses.field(default_factory=dict)


class Exchange(asyncio.Protocol):
    """One request on a connection of its own."""

    def __init__(self, request):
        self.request = request
        self.tail = b""
        self.done = asyncio.get_running_loop().create_future()
        self.answer = Answer(time.perf_counter())

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        now = time.perf_counter()
        # What is carried over is shorter than what is counted: nothing counts twice.
        data = self.tail + data
        self.answer.times += [now] * data.count(TOKEN)
        if END in data:
            self.finish(data)
        last = data.rfind(TOKEN)
        self.tail = data[max(last + 1, len(data) - 4096):]

    def finish(self, data):
        at = data.rfind(b'"usage":{')
        if at >= 0:
            self.answer.usage, _ = json.JSONDecoder().raw_decode(data[at + 8:].decode(errors="replace"))
        if not self.done.done():
            self.done.set_result(self.answer)
        self.transport.close()

    def connection_lost(self, error):
        if not self.done.done():
            said = self.tail[:300].decode(errors="replace")
            self.done.set_exception(RuntimeError(f"cut before its end: {error or said}"))


def request_bytes(text, tokens, extra):
    body = json.dumps({"prompt": text, "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
                       "stream": True, "stream_options": {"include_usage": True}, **extra})
    return (f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


async def client(port, requests):
    answers = []
    for request in requests:
        _, exchange = await asyncio.get_running_loop().create_connection(
            lambda request=request: Exchange(request), "127.0.0.1", port)
        answers.append(await exchange.done)
    return answers


async def clients(port, plans):
    return await asyncio.gather(*(client(port, plan) for plan in plans))


def run(port, plans, tokens):
    """Figures of a closed loop: `plans` has the list of requests (bytes) of each client; each client's first is left out."""
    cpu = time.process_time()
    begun = time.perf_counter()
    answers = asyncio.run(clients(port, plans))
    wall = time.perf_counter() - begun
    cpu = time.process_time() - cpu
    return {**measure(answers, tokens), "wall_s": round(wall, 2),
            "client_cpu": round(cpu / wall, 3)}


def measure(answers, tokens):
    """Of the answers of each client, but its first. The rate is the sum of the clients' own rates, each over the time
    from its second question to the end of its last answer.
    """
    odd = [a for each in answers for a in each[1:] if len(a.times) != tokens]
    rate, first, gaps = 0.0, [], []
    for each in answers:
        counted = each[1:]
        rate += sum(len(a.times) for a in counted) / (counted[-1].times[-1] - counted[0].begun)
        first += [a.times[0] - a.begun for a in counted]
        gaps += [b - a for answer in counted for a, b in zip(answer.times, answer.times[1:])]
    usage = [a.usage for each in answers for a in each[1:]]
    cached = [(u.get("prompt_tokens_details") or {}).get("cached_tokens", 0) for u in usage]
    return {"tokens_per_s": round(rate, 1),
            **{f"ttft_ms_p{share}": round(figures.percentile(first, share / 100) * 1e3, 1)
               for share in (50, 99)},
            **{f"itl_ms_p{share}": round(figures.percentile(gaps, share / 100) * 1e3, 2)
               for share in (50, 99)},
            "answers": len(first), "odd_answers": len(odd),
            "prompt_tokens": round(sum(u.get("prompt_tokens", 0) for u in usage) / len(usage)),
            "cached_tokens": round(sum(cached) / len(cached))}
