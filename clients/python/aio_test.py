"""What asyncio does by itself: waiting, side by side, across a cut. The rest is client_test.py's."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

import aorta
from scripted_server import ACCEPTED, CUT, REQUEST, Script, Server, done, tokens


class AsyncClientTest(unittest.IsolatedAsyncioTestCase):
    def client(self, script: Script, **arguments: Any) -> aorta.AsyncClient:
        self.server = Server(script)
        client = aorta.AsyncClient(self.server.address, **arguments)
        self.addCleanup(self.server.stop)
        self.addAsyncCleanup(client.close)
        return client

    async def test_streams_an_answer(self) -> None:
        client = self.client(lambda verb, ask: [
            ACCEPTED, tokens(0, "Be"), tokens(1, "cause"), done()])
        stream = await client.generate("Why?")
        self.assertEqual([piece.text async for piece in stream], ["Be", "cause"])
        self.assertEqual(stream.result.finish_reason, "stop")

    async def test_tasks_read_side_by_side_across_a_cut(self) -> None:
        def script(verb: str, ask: Any) -> Any:
            if verb == "generate":
                return [ACCEPTED, tokens(0, "1")] + ([CUT] if ask["id"] == "8" else [])
            return [ACCEPTED, tokens(1, ask["id"]), done()]
        client = self.client(script)

        async def ask() -> str:
            return await (await client.generate("Why?")).read()
        texts = await asyncio.gather(*[ask() for _ in range(8)])
        self.assertEqual(texts, [f"1{id}" for id in range(1, 9)])

    async def test_silence_is_a_cut(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "Be")] if verb == "generate"
                             else [ACCEPTED, tokens(1, "cause"), done()], silence_s=0.05, retries=1000)
        self.assertEqual(await (await client.generate("Why?")).read(), "Because")

    async def test_without_retries_a_cut_says_where_to_go_on(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "x"), CUT], retries=0)
        stream = await client.generate("Why?")
        with self.assertRaises(aorta.ConnectionLost) as caught:
            await stream.read()
        self.assertEqual((caught.exception.request, caught.exception.next_index), (REQUEST, 1))

    async def test_a_refusal(self) -> None:
        client = self.client(lambda verb, ask: [("rejected", {"code": "draining"})])
        with self.assertRaises(aorta.Rejected):
            await client.generate("Why?")

    async def test_leaving_a_stream_cancels_it(self) -> None:
        client = self.client(lambda verb, ask: [("models", {"models": ["m"]})]
                             if verb == "models" else [ACCEPTED, tokens(0, "x")])
        async with await client.generate("Why?") as stream:
            await stream.__anext__()
        self.assertEqual(await client.models(), ["m"])
        self.assertIn(("cancel", {"request": REQUEST}), self.server.asked)

    async def test_nothing_is_left_when_it_closes(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "x")])
        await client.generate("Why?")
        await client.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        self.assertEqual(others, set())


if __name__ == "__main__":
    unittest.main()
