"""Raw streaming clients for the chaos tests: one request each, no retry, no resume.

An answer is compared by what a user sees: token ids where the front sends them, text, finish reason and usage.
"""

import http.client
import json

import msgpack
import zmq


class Answer:
    """What a stream delivered. `identity()` is what must equal an undisturbed run's."""

    def __init__(self):
        self.ids, self.text, self.finish, self.usage = [], "", None, None
        self.error, self.request, self.epochs = None, None, None

    def identity(self):
        return self.ids, self.text, self.finish, self.usage

    def take_ids(self, first, ids):
        if first != len(self.ids):
            raise AssertionError(f"token index {first} came after {len(self.ids)} tokens")
        self.ids.extend(ids)


class ZmqStream:
    """A request over the ZeroMQ front. `pieces()` yields after each delivery the number of pieces so far."""

    context = zmq.Context.instance()

    def __init__(self, address, body, timeout_s=120):
        self.answer, self.timeout_ms = Answer(), int(timeout_s * 1000)
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(address)
        self.socket.send_multipart([b"AOR1", b"generate", msgpack.packb({"id": "chaos", **body})])

    def pieces(self):
        answer = self.answer
        while True:
            if not self.socket.poll(self.timeout_ms):
                answer.error = "silence"
                return
            _, verb, packed = self.socket.recv_multipart()
            body = msgpack.unpackb(packed)
            if verb == b"accepted":
                answer.request = body["request"]
            elif verb == b"tokens":
                answer.take_ids(body["index"], body["ids"])
                answer.text += body["text"]
                yield len(answer.ids)
            elif verb == b"done":
                answer.finish, answer.usage = body["finish_reason"], body["usage"]
                answer.epochs = body.get("epochs")
                return
            elif verb in (b"failed", b"rejected", b"error"):
                answer.error = body
                return

    def close(self):
        self.socket.close()


class HttpStream:
    """The same over HTTP's server-sent events."""

    def __init__(self, host, port, body, timeout_s=120):
        self.answer = Answer()
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body),
                                {"content-type": "application/json"})
        self.response = self.connection.getresponse()

    def pieces(self):
        answer, count, ended = self.answer, 0, False
        if self.response.status != 200:
            answer.error = (self.response.status, self.response.read().decode(errors="replace"))
            return
        for line in self.response:
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                ended = True
                break
            event = json.loads(line[6:])
            if "error" in event:
                answer.error = event["error"]
                return
            if event.get("usage"):
                answer.usage = event["usage"]
            for choice in event["choices"]:
                answer.finish = choice["finish_reason"] or answer.finish
                content = choice["delta"].get("content")
                if content:
                    answer.text += content
                    count += 1
                    yield count
        if not ended:
            answer.error = "cut without [DONE]"

    def close(self):
        self.connection.close()
