"""Asks a question and prints the answer as it comes: example.py [ADDRESS]"""

import sys

import aorta

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:8081"
with aorta.Client(address) as client:
    stream = client.generate("Why is the sky blue?", max_tokens=60)
    for piece in stream:
        print(piece.text, end="", flush=True)
    print(f"\n[{stream.result.finish_reason}, {stream.result.usage['completion_tokens']} tokens]")
