"""Answers as a user sees them, over both fronts, to be compared and interrupted."""

import http.client
import json

import mesh as meshes


class Interrupt:
    """Calls `action(request)` once, as soon as so many pieces of a stream have come."""

    def __init__(self, after, action):
        self.after, self.action, self.done = after, action, False

    def saw(self, count, request):
        if not self.done and count >= self.after:
            self.done = True
            self.action(request)


NEVER = Interrupt(1 << 60, lambda request: None)


def ask_zmq(mesh, question, interrupt=NEVER, **parameters):
    """(what a user sees, epochs): ids, text, finish reason, usage without the cached part."""
    with mesh.client() as client:
        stream = client.generate(question, **parameters)
        for piece in stream:
            assert piece.index == len(stream.ids) - len(piece.ids), "a gap or a duplicate"
            interrupt.saw(len(stream.ids), stream.request)
        usage = {key: value for key, value in stream.result.usage.items() if key != "cached_tokens"}
        return (stream.ids, stream.text, stream.result.finish_reason, usage), stream.result.epochs


def ask_http(mesh, question, interrupt=NEVER, **parameters):
    """The same over HTTP's server-sent events: text, finish reason, usage."""
    connection = http.client.HTTPConnection("127.0.0.1", mesh.base, timeout=meshes.PATIENCE_S)
    body = {"model": "default", "messages": [{"role": "user", "content": question}],
            "stream": True, "stream_options": {"include_usage": True}, **parameters}
    connection.request("POST", "/v1/chat/completions", json.dumps(body),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    text, finish, usage, count, ended = "", None, None, 0, False
    for line in answer:
        if not line.startswith(b"data: "):
            continue
        if line.strip() == b"data: [DONE]":
            ended = True
            break
        chunk = json.loads(line[6:])
        assert "error" not in chunk, chunk
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            finish = choice["finish_reason"] or finish
            count += 1
        interrupt.saw(count, chunk["id"].removeprefix("chatcmpl-"))
    assert ended, "the stream broke off"
    connection.close()
    counts = {key: usage[key] for key in ("prompt_tokens", "completion_tokens")}
    return (text, finish, counts), None


FRONTS = {"zmq": ask_zmq, "http": ask_http}
