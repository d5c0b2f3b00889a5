"""The blocking client against a scripted server."""

from __future__ import annotations

import socket
import tempfile
import unittest
from typing import Any

import zmq

import aorta
from scripted_server import ACCEPTED, CUT, REQUEST, Script, Server, done, tokens


class ClientTest(unittest.TestCase):
    def client(self, script: Script, **arguments: Any) -> aorta.Client:
        self.server = Server(script)
        client = aorta.Client(self.server.address, **arguments)
        self.addCleanup(self.server.stop)
        self.addCleanup(client.close)
        return client

    def asked(self, verb: str) -> list:
        return [body for name, body in self.server.asked if name == verb]

    def test_streams_an_answer(self) -> None:
        client = self.client(lambda verb, ask: [
            ACCEPTED, ("waiting", {}), tokens(0, "Be"), tokens(1, "cause"), done()], retries=0)
        stream = client.generate("Why?", max_tokens=2, tier="urgent", top_k=3, stop=None)
        self.assertEqual([piece.text for piece in stream], ["Be", "cause"])
        self.assertEqual((stream.text, stream.ids, stream.next_index), ("Because", [0, 1], 2))
        self.assertEqual(stream.result.finish_reason, "stop")
        self.assertEqual((stream.request, stream.seed), (REQUEST, 7))
        self.assertEqual(self.asked("generate"), [
            {"id": "1", "max_tokens": 2, "top_k": 3, "aorta": {"tier": "urgent"},
             "messages": [{"role": "user", "content": "Why?"}]}])

    def test_streams_side_by_side(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, ask["prompt"]), done()])
        first, second = client.generate(prompt="a"), client.generate(prompt="b")
        self.assertEqual((second.read(), first.read()), ("b", "a"))

    def test_choices_come_apart_and_thoughts_before_text(self) -> None:
        client = self.client(lambda verb, ask: [
            ("accepted", {**ACCEPTED[1], "choices": 2}),
            tokens(0, "", reasoning="Hm. "), tokens(0, "b", choice=1), tokens(1, "a"),
            done(), done("length", choice=1)])
        stream = client.generate("Why?", n=2)
        self.assertEqual([piece.choice for piece in stream], [0, 1, 0])
        self.assertEqual([choice.text for choice in stream.choices], ["a", "b"])
        self.assertEqual((stream.reasoning, stream.next_index), ("Hm. ", [2, 1]))
        self.assertEqual(stream.choices[1].result.finish_reason, "length")

    def test_logprobs_come_with_their_tokens(self) -> None:
        likeliest = {"token": "\\xc3", "bytes": [195], "logprob": -0.5}
        client = self.client(lambda verb, ask: [
            ACCEPTED, tokens(0, "", logprobs=[{**likeliest, "top_logprobs": [likeliest]}]), done()])
        stream = client.generate("Why?", logprobs=True, top_logprobs=1)
        stream.read()
        entry = aorta.TokenLogprob("\\xc3", b"\xc3", -0.5)
        self.assertEqual(stream.logprobs, [aorta.Logprob(entry, [entry])])

    def test_a_refusal_says_when_to_try_again(self) -> None:
        client = self.client(lambda verb, ask: [("rejected", {
            "status": 429, "code": "queue_full", "message": "Full.", "param": "",
            "retry_after_ms": 1500})])
        with self.assertRaises(aorta.Rejected) as caught:
            client.generate("Why?")
        self.assertEqual((caught.exception.reason, caught.exception.retry_after),
                         ("queue_full", 1.5))

    def test_a_failure_keeps_what_came(self) -> None:
        client = self.client(lambda verb, ask: [
            ACCEPTED, tokens(0, "Be"),
            ("failed", {"status": 500, "code": "poison", "message": "Broken."})])
        stream = client.generate("Why?")
        with self.assertRaises(aorta.Failed):
            stream.read()
        self.assertEqual(stream.text, "Be")

    def test_a_cut_answer_goes_on_behind_its_last_token(self) -> None:
        client = self.client(lambda verb, ask:
                             [ACCEPTED, tokens(0, "Be"), CUT] if verb == "generate" else
                             [ACCEPTED, tokens(ask["next_index"], "cause"), done()])
        stream = client.generate("Why?")
        self.assertEqual(stream.read(), "Because")
        generate = self.asked("generate")[0]
        generate.pop("id")
        self.assertEqual(self.asked("resume"), [{
            "id": "1", "request": REQUEST, "next_index": 1, "delivered_hash": "4d25767f9dce13f5",
            "life": 0, "generate": generate, "seed": 7}])

    def test_a_request_whose_acceptance_was_lost_is_asked_again_under_its_key(self) -> None:
        client = self.client(lambda verb, ask: [CUT] if len(self.server.asked) == 1 else
                             [ACCEPTED, tokens(0, "x"), done()])
        self.assertEqual(client.generate("Why?").read(), "x")
        first, second = self.asked("generate")
        self.assertEqual(first, second)
        self.assertGreater(len(first["idempotency_key"]), 16)

    def test_silence_is_a_cut(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "Be")] if verb == "generate"
                             else [ACCEPTED, tokens(1, "cause"), done()], silence_s=0.05, retries=1000)
        self.assertEqual(client.generate("Why?").read(), "Because")

    def test_all_streams_of_a_cut_connection_go_on(self) -> None:
        def script(verb: str, ask: Any) -> Any:
            if verb == "generate":
                return [ACCEPTED, tokens(0, "1")] + ([CUT] if ask["id"] == "2" else [])
            return [ACCEPTED, tokens(1, ask["id"]), done()]
        client = self.client(script)
        first, second = client.generate("a"), client.generate("b")
        self.assertEqual((first.read(), second.read()), ("11", "12"))

    def test_a_server_that_forgot_the_answer(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "Be"), CUT]
                             if verb == "generate" else
                             [("rejected", {"status": 404, "code": "request_not_found",
                                            "message": "No such request."})])
        stream = client.generate("Why?")
        with self.assertRaises(aorta.AnswerLost) as caught:
            stream.read()
        self.assertEqual((caught.exception.request, stream.text), (REQUEST, "Be"))

    def test_what_came_at_the_end_without_tokens_is_read_once(self) -> None:
        end_text = ("tokens", {"index": 1, "ids": [], "text": "!"})
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "x"), end_text, CUT]
                             if verb == "generate" else [ACCEPTED, end_text, done()])
        self.assertEqual(client.generate("Why?").read(), "x!")

    def test_an_accepted_answer_waits_for_a_server_that_has_no_room(self) -> None:
        full = ("rejected", {"status": 503, "code": "overloaded", "message": "Full.", "param": "",
                             "retry_after_ms": 10})
        def script(verb: str, ask: Any) -> Any:
            if verb == "generate":
                return [ACCEPTED, tokens(0, "x"), CUT]
            return [full] if len(self.asked("resume")) == 1 else [ACCEPTED, tokens(1, "y"), done()]
        self.assertEqual(self.client(script).generate("Why?").read(), "xy")
        first, second = self.asked("resume")
        self.assertEqual(first, second)

    def test_a_server_that_leaves_is_not_the_end_of_an_answer(self) -> None:
        leaves = ("failed", {"status": 503, "code": "shutting_down", "message": "Leaving."})
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "x"), leaves, CUT]
                             if verb == "generate" else [ACCEPTED, tokens(1, "y"), done()])
        self.assertEqual(client.generate("Why?").read(), "xy")

    def test_of_several_addresses_a_cut_leads_to_the_next(self) -> None:
        other = Server(lambda verb, ask: [("accepted", {"request": ask["request"], "model": "m",
                                                        "seed": ask["seed"], "life": 256}),
                                          tokens(ask["next_index"], "cause"), done()])
        self.addCleanup(other.stop)
        self.client(lambda verb, ask: [ACCEPTED, tokens(0, "Be"), CUT])
        with aorta.Client([self.server.address, other.address]) as client:
            self.assertEqual(client.generate("Why?").read(), "Because")
        self.assertEqual([verb for verb, _ in other.asked], ["resume"])
        self.assertEqual(other.asked[0][1]["seed"], 7)

    def test_nobody_at_the_first_address_leads_to_the_next(self) -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            self.client(lambda verb, ask: [ACCEPTED, tokens(0, "x"), done()])
            nobody = f"tcp://127.0.0.1:{held.getsockname()[1]}"
            with aorta.Client([nobody, self.server.address], connect_s=0.2) as client:
                self.assertEqual(client.generate("Why?").read(), "x")

    def test_a_server_that_always_cuts_is_given_up(self) -> None:
        client = self.client(lambda verb, ask: [CUT], retries=2)
        with self.assertRaises(aorta.ConnectionLost):
            client.generate("Why?")
        self.assertEqual(len(self.asked("generate")), 3)

    def test_without_retries_a_cut_says_where_to_go_on(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "x"), CUT]
                             if verb == "generate" else [ACCEPTED, tokens(1, "y"), done()],
                             retries=0)
        stream = client.generate("Why?")
        with self.assertRaises(aorta.ConnectionLost) as caught:
            stream.read()
        self.assertEqual((caught.exception.request, caught.exception.next_index), (REQUEST, 1))
        self.assertNotIn("idempotency_key", self.asked("generate")[0])
        resumed = client.resume(REQUEST, caught.exception.next_index)
        self.assertEqual((resumed.read(), resumed.next_index), ("y", 2))

    def test_an_end_that_came_before_the_cut_counts(self) -> None:
        client = self.client(lambda verb, ask: [ACCEPTED, tokens(0, "x"), done(), CUT], retries=0)
        self.assertEqual(client.generate("Why?").read(), "x")

    def test_nobody_there_is_said_soon(self) -> None:
        with socket.socket() as held:  # bound, but nobody listens
            held.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{held.getsockname()[1]}"
            with aorta.Client(address, connect_s=0.05) as client:
                with self.assertRaisesRegex(aorta.ConnectionLost, f"nobody answers at {address}"):
                    client.models()

    def test_leaving_a_stream_cancels_it(self) -> None:
        client = self.client(lambda verb, ask: [("models", {"models": ["m"]})]
                             if verb == "models" else [ACCEPTED, tokens(0, "x")])
        with client.generate("Why?") as stream:
            next(stream)
        self.assertEqual(client.models(), ["m"])  # after the cancel, on the same socket
        self.assertEqual(self.asked("cancel"), [{"request": REQUEST}])

    def test_the_key_goes_with_every_message(self) -> None:
        client = self.client(lambda verb, ask: [("models", {"models": ["m"]})]
                             if verb == "models" else [ACCEPTED, tokens(0, "x")],
                             api_key="sk-aorta-1")
        with client.generate("Why?"):
            pass
        client.models()
        self.assertEqual([ask["api_key"] for _, ask in self.server.asked], ["sk-aorta-1"] * 3)

    def test_an_encrypted_answer_goes_on_after_a_cut(self) -> None:
        server = Server(lambda verb, ask: [ACCEPTED, tokens(0, "Be"), CUT] if verb == "generate"
                        else [ACCEPTED, tokens(1, "cause"), done()], encrypted=True)
        self.addCleanup(server.stop)
        with tempfile.NamedTemporaryFile() as file:
            file.write(server.public_key + b"\n")
            file.flush()
            for key in (server.public_key.decode(), file.name):
                with aorta.Client(server.address, server_key=key) as client:
                    self.assertEqual(client.generate("Why?").read(), "Because")

    def test_a_wrong_or_missing_server_key_is_said(self) -> None:
        server = Server(lambda verb, ask: [], encrypted=True)
        self.addCleanup(server.stop)
        for key in (zmq.curve_keypair()[0].decode(), None):
            with aorta.Client(server.address, server_key=key, connect_s=0.5) as client:
                with self.assertRaisesRegex(aorta.ConnectionLost, "is server_key its own"):
                    client.models()
        with self.assertRaises(ValueError):
            aorta.Client(server.address, server_key="too short")


if __name__ == "__main__":
    unittest.main()
