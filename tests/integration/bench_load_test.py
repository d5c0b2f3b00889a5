"""The benchmarks' own counting: events cut anywhere are counted once, first answers are left out, work is what GGUF says."""

import asyncio
import pathlib
import sys
import threading

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench"
sys.path[:0] = [str(BENCH / "serve"), str(BENCH / "engine"), str(BENCH)]
import closed_loop  # noqa: E402
import gguf_facts  # noqa: E402

EVENT = b'id: 1-ab\ndata: {"choices":[{"text":" a","finish_reason":null}],"usage":null}\n\n'
LAST = (b'data: {"choices":[{"text":"","finish_reason":"length"}]}\n\n'
        b'data: {"usage":{"prompt_tokens":98,"prompt_tokens_details":{"cached_tokens":16}}}\n\n'
        b'data: [DONE]\n\n')


@pytest.fixture
def server():
    """Answers each request with 20 events, in pieces of `piece` bytes; yields {port, piece}."""
    state, loop, ready = {"piece": 7}, asyncio.new_event_loop(), threading.Event()

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
        body = b"HTTP/1.1 200 OK\r\n\r\n" + EVENT * 20 + LAST
        for at in range(0, len(body), state["piece"]):
            writer.write(body[at:at + state["piece"]])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def listen():
        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        state["port"] = listening.sockets[0].getsockname()[1]
        ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(listen()), loop.run_forever()))
    thread.start()
    ready.wait()
    yield state
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.mark.parametrize("piece", [3, 23, 24, 25, 1000, 100_000])
def test_each_event_is_counted_once_however_it_is_cut(server, piece):
    server["piece"] = piece
    plans = [[closed_loop.request_bytes("x", 20, {})] * 3 for _ in range(2)]
    result = closed_loop.run(server["port"], plans, tokens=20)
    assert result["odd_answers"] == 0
    assert result["answers"] == 4  # of 6: the first of each client is left out
    assert result["prompt_tokens"] == 98 and result["cached_tokens"] == 16


def test_the_first_answer_of_a_client_counts_nowhere():
    slow = closed_loop.Answer(begun=0.0, times=[50.0, 99.0])
    fast = closed_loop.Answer(begun=100.0, times=[100.5, 101.0, 101.5, 102.0])
    result = closed_loop.measure([[slow, fast], [slow, fast]], tokens=4)
    assert result["tokens_per_s"] == 4.0  # 4 tokens in 2 s, of two clients
    assert result["ttft_ms_p99"] == 500.0 and result["itl_ms_p99"] == 500.0
    assert result["odd_answers"] == 0


def test_no_two_prompts_begin_alike_but_with_a_prefix():
    starts = {closed_loop.prompt(number, 90)[:12] for number in range(1, 2000)}
    assert len(starts) == 1999
    assert closed_loop.prompt(1, 90, "P. ").startswith("P. ")


def test_work_is_counted_from_the_tensors():
    pairs = {"general.architecture": "llama", "llama.block_count": 2, "llama.attention.head_count": 4,
             "llama.attention.head_count_kv": 2, "llama.embedding_length": 64}
    tensors = {"token_embd.weight": ([64, 320], 3), "blk.0.attn_q.weight": ([64, 64], 3),
               "blk.0.attn_norm.weight": ([64], 0)}
    tied = gguf_facts.facts(pairs, tensors)
    assert tied.weight_bytes == (64 * 320 + 64 * 64) // 32 * 20 + 256
    assert tied.layer_macs == 64 * 64 and tied.head_macs == 64 * 320
    assert tied.attention_macs == 2 * 2 * 64 and tied.kv_bytes == 2 * 2 * 32 * 2
    apart = gguf_facts.facts(pairs, {**tensors, "output.weight": ([64, 320], 8)})
    assert apart.weight_bytes - tied.weight_bytes == 64 * 320 // 32 * (34 - 20)
