#!/usr/bin/env python3
"""Our tokenizer beside Hugging Face's `tokenizers`, made from the same GGUF's vocabulary and merges:
same text, same prompts of 8 KiB, one thread, processor time, in turns. Prints JSON in MB/s.

Usage: tokenizer_peer.py BENCH MODEL.gguf TEXT.txt [rounds]    (BENCH: build/.../tokenizer_bench;
needs the package tokenizers; for the pre-tokenizers qwen2, deepseek-r1-qwen and smollm)
"""

import json
import os
import statistics
import struct
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers  # noqa: E402

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
           11: "<q", 12: "<d"}
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def metadata(path):
    """The key-value section of a GGUF file."""
    with open(path, "rb") as file:
        def scalar(kind):
            form = SCALARS[kind]
            return struct.unpack(form, file.read(struct.calcsize(form)))[0]

        def value(kind):
            if kind == 8:
                return file.read(scalar(10)).decode(errors="replace")
            if kind == 9:
                inner, count = scalar(4), scalar(10)
                return [value(inner) for _ in range(count)]
            return scalar(kind)

        assert file.read(4) == b"GGUF" and scalar(4) == 3
        scalar(10)
        return {value(8): value(scalar(4)) for _ in range(scalar(10))}


def peer(path):
    found = metadata(path)
    tokens = found["tokenizer.ggml.tokens"]
    types = found["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in found["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    pre = found["tokenizer.ggml.pre"]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre == "smollm")
    first = (pre_tokenizers.Digits(individual_digits=True) if pre == "smollm" else
             pre_tokenizers.Split(Regex(CL100K), "isolated"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, byte_level])
    tokenizer.add_tokens([AddedToken(t, special=kind == 3, normalized=False)
                          for t, kind in zip(tokens, types) if kind in (3, 4)])
    return tokenizer


def prompts_of(data):
    at = 0
    while at < len(data):
        end = min(at + (8 << 10), len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1  # not within a character
        yield data[at:end].decode()
        at = end


def main():
    bench, model, text_path = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    tokenizer = peer(model)
    data = open(text_path, "rb").read()
    prompts = list(prompts_of(data))
    ours, theirs, ids = [], [], 0
    for _ in range(rounds):
        run = subprocess.run([bench, model, text_path, "3"], capture_output=True, check=True)
        ours.append(json.loads(run.stdout))
        begun = time.thread_time()
        ids = sum(len(tokenizer.encode(prompt, add_special_tokens=False).ids) for prompt in prompts)
        theirs.append(len(data) * 1e-6 / (time.thread_time() - begun))

    def spread(values):
        return {"median": round(statistics.median(values), 1), "min": round(min(values), 1),
                "max": round(max(values), 1)}
    first = [run["encode MB/s"]["median"] for run in ours]
    uncached = [run["encode MB/s, no cache"]["median"] for run in ours]
    print(json.dumps({"rounds": rounds, "bytes": len(data), "ids": ours[0]["ids"],
                      "ids of the peer": ids, "aorta": spread(first),
                      "aorta, no cache": spread(uncached), "tokenizers": spread(theirs),
                      "ratio": round(statistics.median(first) / statistics.median(theirs), 1)}))


if __name__ == "__main__":
    main()
