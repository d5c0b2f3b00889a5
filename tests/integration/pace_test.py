"""Tokens reach an HTTP client as they are made: none waits for a delayed acknowledgement (40 ms) or for its successors.

The fake engine makes one every 5 ms. A busy machine only adds to what is measured, so the best of several answers counts.
"""

import http.client
import json
import statistics
import time

import pytest

import mesh as meshes

STEP_S = 0.005
ANSWERS = 10


@pytest.fixture(scope="module")
def paced():
    with meshes.Mesh(executors=1, sets={"engine.fake_step_us": round(STEP_S * 1e6)}) as mesh:
        yield mesh


def stream_times(connection, tokens):
    """(seconds to the first chunk with text, seconds between such chunks) of one answer."""
    body = {"messages": [{"role": "user", "content": "pace"}], "stream": True, "max_tokens": tokens,
            "ignore_eos": True}
    begun = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    times = []
    for line in answer:
        if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
            times.append(time.perf_counter())
    return times[0] - begun, [after - before for before, after in zip(times, times[1:])]


def test_first_tokens_on_a_connection_that_is_kept(paced):
    connection = http.client.HTTPConnection("127.0.0.1", paced.base, timeout=meshes.PATIENCE_S)
    stream_times(connection, 4)
    socket = connection.sock
    later = [stream_times(connection, 4)[0] for _ in range(ANSWERS)]
    assert connection.sock is socket, "the connection was not kept"
    assert min(later) < 0.035, later
    connection.close()


def test_tokens_come_one_by_one(paced):
    connection = http.client.HTTPConnection("127.0.0.1", paced.base, timeout=meshes.PATIENCE_S)
    gaps = [stream_times(connection, 40)[1] for _ in range(ANSWERS)]
    assert min(map(statistics.median, gaps)) < 2 * STEP_S, gaps
    # Tokens that wait for each other would come all at once, after a gap as long as all of them.
    assert min(map(max, gaps)) < 0.035, gaps
    assert max(map(statistics.median, gaps)) > STEP_S / 2, gaps
    connection.close()
