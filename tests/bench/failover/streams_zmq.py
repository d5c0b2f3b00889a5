"""Many streams on one raw ZeroMQ socket, with the time at which each token came. Nothing is tried again."""

import dataclasses
import time

import msgpack
import zmq

MAGIC = b"AOR1"


@dataclasses.dataclass
class Stream:
    question: int
    request: str = ""
    ids: list = dataclasses.field(default_factory=list)
    times: list = dataclasses.field(default_factory=list)  # of each id
    asked: float = 0.0
    epochs: int = 0
    finish: str = ""
    problem: str = ""  # "lost", "duplicated" or "a gap", with what was seen


class Streams:
    """`ask` begins a stream; `poll` takes what has come and returns those that have ended."""

    def __init__(self, address, questions, parameters):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.connect(address)
        self.questions, self.parameters = questions, parameters
        self.open, self.number = {}, 0

    def close(self):
        self.socket.close()

    def ask(self, question):
        self.number += 1
        stream = Stream(question, asked=time.time())
        self.open[str(self.number)] = stream
        body = {"id": str(self.number), "prompt": self.questions[question], "seed": question,
                **self.parameters}
        self.socket.send_multipart([MAGIC, b"generate", msgpack.packb(body)])
        return stream

    def poll(self, timeout_ms):
        ended = []
        if self.socket.poll(timeout_ms):
            now = time.time()
            while self.socket.poll(0):
                _, verb, body = self.socket.recv_multipart()
                self._take(verb.decode(), msgpack.unpackb(body), now, ended)
        return ended

    def _take(self, verb, body, now, ended):
        stream = self.open.get(body.get("id"))
        if stream is None:
            raise AssertionError(f"{verb} for nobody: {body}")
        if verb == "accepted":
            stream.request = body["request"]
        elif verb == "tokens":
            self._take_tokens(stream, body, now)
        elif verb in ("done", "failed", "rejected", "error"):
            stream.finish = body.get("finish_reason", verb)
            stream.epochs = body.get("epochs", 0)
            if verb != "done":
                stream.problem = f"lost: {body}"
            ended.append(self.open.pop(body["id"]))

    @staticmethod
    def _take_tokens(stream, body, now):
        if body["index"] != len(stream.ids):
            what = "duplicated" if body["index"] < len(stream.ids) else "a gap"
            stream.problem = stream.problem or f"{what}: {body['index']}, not {len(stream.ids)}"
        stream.ids += body["ids"]
        stream.times += [now] * len(body["ids"])
