"""Makes dequantised.bin: random blocks of each GGUF type that packs hold, and the floats that the
`gguf` package (0.19.0; any later one should agree) makes of them.

For each type: u32 ggml_type, rows, columns, bytes of a row; the blocks; float32 [rows][columns].
"""
import sys

import gguf
import numpy

ROWS, COLUMNS = 2, 512
Type = gguf.GGMLQuantizationType
# Where a block's halves lie: random bytes would be infinities and NaNs.
HALVES = {Type.F16: [0], Type.BF16: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0],
          Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2],
          Type.Q6_K: [208]}


def main() -> None:
    random = numpy.random.default_rng(7)
    with open(sys.argv[1], "wb") as out:
        for kind, halves in HALVES.items():
            elements, size = gguf.GGML_QUANT_SIZES[kind]
            blocks = random.integers(0, 256, (ROWS, COLUMNS // elements, size), dtype=numpy.uint8)
            for at in halves:
                values = random.normal(0, 0.05, blocks.shape[:2]).astype(numpy.float16)
                blocks[:, :, at:at + 2] = values[..., None].view(numpy.uint8)
            rows = blocks.reshape(ROWS, -1)
            floats = gguf.dequantize(rows, kind).astype("<f4")
            out.write(numpy.array([kind, ROWS, COLUMNS, rows.shape[1]], dtype="<u4").tobytes())
            out.write(rows.tobytes())
            out.write(floats.tobytes())


main()
