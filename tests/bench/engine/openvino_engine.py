#!/usr/bin/env python3
"""OpenVINO GenAI's continuous batching, timed as engine_bench times ours. Run by paired.py with the Python of an
environment that has openvino-genai.

  openvino_engine.py GGUF THREADS

Reads lines `decode ROWS CONTEXT STEPS` or `prefill IDS TIMES`, answers each with a line of JSON. KV precision and all
else is OpenVINO's default; its prefix cache is off.
"""

import json
import statistics
import sys
import time

import numpy
import openvino
import openvino_genai as genai

STEP_TOKENS = 2048  # a prompt of 2,048 in one step, which is its fastest


def open_pipeline(gguf, threads):
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = 1  # GB
    scheduler.max_num_batched_tokens = STEP_TOKENS
    scheduler.max_num_seqs = 64
    scheduler.enable_prefix_caching = False
    return genai.ContinuousBatchingPipeline(gguf, scheduler, "CPU", {"INFERENCE_NUM_THREADS": threads})


def start(pipeline, count, length, max_tokens, seed):
    config = genai.GenerationConfig()
    config.max_new_tokens = max_tokens
    config.ignore_eos = True
    config.do_sample = False
    random = numpy.random.default_rng(seed)
    return [pipeline.add_request(seed * 1000 + number, openvino.Tensor(
        random.integers(20, 40000, (1, length), dtype=numpy.int64)), config)
        for number in range(count)]


def decode(pipeline, rows, context, steps, seed):
    handles = start(pipeline, rows, context, steps + 2, seed)
    took = []
    while pipeline.has_non_finished_requests():
        begin = time.perf_counter()
        pipeline.step()
        took.append(time.perf_counter() - begin)
        for handle in handles:
            if handle.can_read():
                handle.read()
    return rows / statistics.median(took[-steps:])


def prefill(pipeline, length, times, seed):
    took = []
    for number in range(times + 1):
        begin = time.perf_counter()
        handles = start(pipeline, 1, length, 1, seed + number)
        while pipeline.has_non_finished_requests():
            pipeline.step()
        took.append(time.perf_counter() - begin)
        del handles
    return length / statistics.median(took[1:])


def main():
    pipeline = open_pipeline(sys.argv[1], int(sys.argv[2]))
    print(json.dumps({"version": genai.__version__}), flush=True)
    for number, line in enumerate(sys.stdin):
        mode, *numbers = line.split()
        work = {"decode": decode, "prefill": prefill}[mode]
        rate = work(pipeline, *map(int, numbers), seed=1 + 10 * number)
        print(json.dumps({"tokens_per_s": rate}), flush=True)


if __name__ == "__main__":
    main()
