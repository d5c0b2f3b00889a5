#!/usr/bin/env python3
"""The openai package under load: each of C clients asks in turns with and without streaming, until S seconds are over.

  openai_client.py BASE_URL --clients C --seconds S

Prints one line of JSON. No retries: whatever the server does wrong is seen.
"""

import argparse
import asyncio
import json
import statistics
import time

import openai


class Totals:
    def __init__(self):
        self.requests, self.errors, self.first_token_s = 0, [], []


async def ask_whole(client, question):
    answer = await client.chat.completions.create(model="default", messages=question, max_tokens=48)
    assert answer.choices[0].message.content, "an empty answer"
    assert answer.usage.completion_tokens > 0


async def ask_streaming(client, question, totals):
    begun = time.perf_counter()
    stream = await client.chat.completions.create(
        model="default", messages=question, max_tokens=48, stream=True,
        stream_options={"include_usage": True})
    text, finish, usage = "", None, None
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            if not text:
                totals.first_token_s.append(time.perf_counter() - begun)
            text += chunk.choices[0].delta.content
        finish = finish or (chunk.choices and chunk.choices[0].finish_reason)
        usage = usage or chunk.usage
    assert text and finish in ("stop", "length") and usage, (text, finish, usage)


async def run_client(number, base_url, until, totals):
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        turn = 0
        while time.monotonic() < until:
            question = [{"role": "user", "content": f"Client {number}, turn {turn}: why is it so?"}]
            totals.requests += 1
            try:
                if turn % 2:
                    await ask_whole(client, question)
                else:
                    await ask_streaming(client, question, totals)
            except Exception as error:  # whatever it is, a user would see it
                totals.errors.append(repr(error))
            turn += 1


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    totals = Totals()
    until = time.monotonic() + options.seconds
    await asyncio.gather(*(run_client(number, options.base_url, until, totals)
                           for number in range(options.clients)))
    print(json.dumps({
        "openai": openai.__version__, "requests": totals.requests, "errors": len(totals.errors),
        "first_errors": totals.errors[:5],
        "median_first_token_s": round(statistics.median(totals.first_token_s or [0]), 3)}))


if __name__ == "__main__":
    asyncio.run(main())
