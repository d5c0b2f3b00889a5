"""A client in the protocol's own words, without the comforts of ours."""

import msgpack
import zmq

from mesh import PATIENCE_S


class Raw:
    """On a connection of its own."""

    def __init__(self, address):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, verb, **body):
        self.socket.send_multipart([b"AOR1", verb.encode(), msgpack.packb(body)])

    def hear(self):
        assert self.socket.poll(PATIENCE_S * 1000), "nothing came"
        _, verb, body = self.socket.recv_multipart()
        return verb.decode(), msgpack.unpackb(body)

    def read(self, tokens=1 << 60):
        """What comes until so many tokens or the end: what `accepted` said, ids, text, the end."""
        accepted, ids, text = None, [], ""
        while True:
            verb, body = self.hear()
            if verb == "accepted":
                accepted = body
            elif verb == "tokens":
                ids += body["ids"]
                text += body["text"]
                if len(ids) >= tokens:
                    return accepted, ids, text, None
            elif verb != "waiting":
                return accepted, ids, text, (verb, body)
