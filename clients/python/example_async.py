"""Asks three questions at once and prints each answer when it is whole: example_async.py [ADDRESS]"""

import asyncio
import sys

import aorta


async def main(address: str = "tcp://127.0.0.1:8081") -> None:
    async with aorta.AsyncClient(address) as client:
        async def ask(question: str) -> None:
            stream = await client.generate(question, max_tokens=40)
            print(question, await stream.read(), sep="\n")
        await asyncio.gather(*map(ask, ["Why is the sky blue?", "Who was Ada?", "What is 2 + 2?"]))


asyncio.run(main(*sys.argv[1:]))
