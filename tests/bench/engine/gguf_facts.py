"""What a GGUF file says of the work in it: bytes of weights that a decode step reads, multiply-adds of a token, bytes
of KV. The file's form: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import dataclasses
import math
import mmap
import struct

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# type: (weights in a block, bytes of a block)
BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24),
          8: (32, 34), 12: (256, 144), 13: (256, 176), 14: (256, 210)}
F16_BYTES = 2


@dataclasses.dataclass
class Facts:
    weight_bytes: int      # that a step reads whatever its rows: all but a separate embedding table
    layer_macs: int        # multiply-adds of a position in the layers' matmuls
    head_macs: int         # of the output head
    attention_macs: int    # of a query for each position that it sees, all layers
    kv_bytes: int          # of a position, f16, all layers


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, kind):
        value, = struct.unpack_from("<" + SCALARS[kind], self.data, self.at)
        self.at += struct.calcsize("<" + SCALARS[kind])
        return value

    def string(self):
        size = self.scalar(10)
        self.at += size
        return self.data[self.at - size:self.at].decode(errors="replace")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.scalar(kind)
        inner, count = self.scalar(4), self.scalar(10)
        return [self.value(inner) for _ in range(count)]


def read(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = Reader(data)
        magic, version = reader.scalar(4), reader.scalar(4)
        if magic != 0x46554747 or version < 2:
            raise ValueError(f"{path} is not a GGUF file of version 2 or 3")
        tensor_count, pair_count = reader.scalar(10), reader.scalar(10)
        pairs = {}
        for _ in range(pair_count):
            name = reader.string()
            pairs[name] = reader.value(reader.scalar(4))
        tensors = {}
        for _ in range(tensor_count):
            name = reader.string()
            shape = [reader.scalar(10) for _ in range(reader.scalar(4))]
            tensors[name] = (shape, reader.scalar(4))
            reader.scalar(10)  # where its data lies
    return facts(pairs, tensors)


def facts(pairs, tensors):
    tied = "output.weight" not in tensors
    head = "token_embd.weight" if tied else "output.weight"
    weight_bytes = layer_macs = 0
    for name, (shape, kind) in tensors.items():
        if name == "token_embd.weight" and not tied:
            continue
        weights, size = BLOCKS[kind]
        weight_bytes += math.prod(shape) // weights * size
        if len(shape) == 2 and name != head:
            layer_macs += math.prod(shape)

    def number(name, otherwise=None):
        return pairs.get(f'{pairs["general.architecture"]}.{name}', otherwise)

    layers, heads = number("block_count"), number("attention.head_count")
    kv_heads = number("attention.head_count_kv", heads)
    size = number("attention.key_length", number("embedding_length") // heads)
    return Facts(weight_bytes=weight_bytes, layer_macs=layer_macs,
                 head_macs=math.prod(tensors[head][0]), attention_macs=2 * layers * heads * size,
                 kv_bytes=2 * layers * kv_heads * size * F16_BYTES)


if __name__ == "__main__":
    import sys
    print(read(sys.argv[1]))
