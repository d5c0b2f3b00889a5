"""OpenAI's API as its clients use it, against a whole mesh: choices, log-probabilities, usage,
resumed streams, and what is beside chats.
"""

import json

import pytest

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
ASK = {"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 12, "seed": 5}


def post(mesh, path, body, **headers):
    status, got, text = mesh.http("POST", path, body, headers)
    assert status == 200, text
    return got, text


def whole(mesh, path, **body):
    return json.loads(post(mesh, path, body)[1])


def events(text):
    """(id, chunk) of each event of a stream."""
    found = []
    for event in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.splitlines() if line[:1] != ":")
        if fields.get("data", "[DONE]") != "[DONE]":
            found.append((fields.get("id"), json.loads(fields["data"])))
    assert text.rstrip().endswith("data: [DONE]")
    return found


def stream(mesh, path, **body):
    return events(post(mesh, path, {**body, "stream": True})[1])


def streamed_texts(chunks, choices=1):
    texts = [""] * choices
    for _, chunk in chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice.get("text") or choice.get("delta", {}).get("content", "")
    return texts


def texts_of(answer):
    return [c["message"]["content"] if "message" in c else c["text"] for c in answer["choices"]]


def test_inference_is_one_text(mesh):
    answer = whole(mesh, "/v1/inference", text="Once", max_tokens=7, temperature=0.5)
    assert sorted(answer) == ["finish_reason", "id", "text", "usage"]
    assert answer["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 7
    assert mesh.request(answer["id"])["state"] == "length"


@pytest.mark.parametrize("path", [CHAT, TEXT])
def test_choices_are_draws_of_their_own(mesh, path):
    ask = ASK if path == CHAT else {"prompt": "Why?", "max_tokens": 12, "seed": 5}
    one = whole(mesh, path, **ask)
    three = whole(mesh, path, **ask, n=3)
    assert len(set(texts_of(three))) == 3
    assert texts_of(three)[0] == texts_of(one)[0]
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert three["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]
    assert three["usage"]["completion_tokens"] == 36
    chunks = stream(mesh, path, **ask, n=3)
    assert streamed_texts(chunks, 3) == texts_of(three)
    assert [part.split("-")[0] for part in chunks[-1][0].split(",")] == ["12"] * 3


def test_chat_logprobs(mesh):
    answer = whole(mesh, CHAT, **ASK, logprobs=True, top_logprobs=3)
    tokens = answer["choices"][0]["logprobs"]["content"]
    assert len(tokens) == 12
    said = bytes(byte for token in tokens for byte in token["bytes"])
    assert said.decode(errors="replace") == texts_of(answer)[0]
    for token in tokens:
        assert len(token["top_logprobs"]) == 3
        assert token["logprob"] <= 0
    chunks = stream(mesh, CHAT, **ASK, logprobs=True, top_logprobs=3)
    assert [token for _, chunk in chunks for choice in chunk["choices"]
            for token in (choice["logprobs"] or {"content": []})["content"]] == tokens


def test_completion_logprobs(mesh):
    answer = whole(mesh, TEXT, prompt="Once", max_tokens=9, seed=5, logprobs=2)
    lists = answer["choices"][0]["logprobs"]
    assert {len(one) for one in lists.values()} == {9}
    assert lists["text_offset"][0] == 0
    assert all(token in top for token, top in zip(lists["tokens"], lists["top_logprobs"]))
    assert whole(mesh, TEXT, prompt="Once", max_tokens=2)["choices"][0]["logprobs"] is None


def test_usage_in_streams(mesh):
    chunks = stream(mesh, CHAT, **ASK)
    assert all("usage" not in chunk for _, chunk in chunks)
    chunks = stream(mesh, CHAT, **ASK, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for _, chunk in chunks[:-1])
    assert chunks[-1][1]["choices"] == []
    assert chunks[-1][1]["usage"]["completion_tokens"] == 12
    both = {"include_usage": True, "continuous_usage_stats": True}
    chunks = stream(mesh, TEXT, prompt="Once", max_tokens=12, stream_options=both)
    counts = [chunk["usage"]["completion_tokens"] for _, chunk in chunks]
    assert counts == sorted(counts) and counts[0] < 12 and counts[-1] == 12
    assert {chunk["usage"]["prompt_tokens"] for _, chunk in chunks} == {4}


@pytest.mark.parametrize("choices", [1, 2])
def test_a_resumed_stream_goes_on_in_its_own_shape(mesh, choices):
    chunks = stream(mesh, TEXT, prompt="Once", max_tokens=12, seed=3, n=choices)
    event_id, chunk = chunks[len(chunks) // 2]
    path = f"/v1/aorta/requests/{chunk['id']}/stream"
    status, _, text = mesh.http("GET", path, headers={"Last-Event-ID": event_id})
    assert status == 200, text
    rest = events(text)
    assert all(chunk["object"] == "text_completion" for _, chunk in rest)
    seen = streamed_texts(chunks[:len(chunks) // 2 + 1], choices)
    resumed = streamed_texts(rest, choices)
    assert [a + b for a, b in zip(seen, resumed)] == streamed_texts(chunks, choices)
    assert rest[-1][1]["usage"]["completion_tokens"] == 12 * choices


def test_stop_token_ids_end_an_answer(mesh):
    full = whole(mesh, CHAT, **ASK)
    ids = whole(mesh, "/tokenize", prompt=texts_of(full)[0])["tokens"]
    answer = whole(mesh, CHAT, **ASK, stop_token_ids=[ids[4]])
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert texts_of(full)[0].startswith(texts_of(answer)[0])
    assert answer["usage"]["completion_tokens"] <= 5


def test_what_is_not_supported_is_named(mesh):
    for field, value in {"tools": [{"type": "function"}], "response_format": {"type": "json_object"},
                         "guided_json": {"type": "object"}, "audio": {"voice": "x"}}.items():
        status, _, text = mesh.http("POST", CHAT, {**ASK, field: value})
        error = json.loads(text)["error"]
        assert (status, error["param"], error["code"]) == (400, field, "unsupported_parameter")
    neutral = {"n": 1, "tools": [], "tool_choice": "none", "response_format": {"type": "text"},
               "logprobs": False, "parallel_tool_calls": True, "modalities": ["text"],
               "audio": None, "prediction": None, "user": "u", "metadata": {"a": "b"}, "store": True}
    headers, _ = post(mesh, CHAT, {**ASK, **neutral, "chat_template_kwargs": {"x": 1}})
    assert headers["x-aorta-ignored"] == "chat_template_kwargs"


def test_request_ids_are_echoed_or_made(mesh):
    headers, _ = post(mesh, CHAT, ASK, **{"X-Request-Id": "mine"})
    assert headers["X-Request-Id"] == "mine"
    headers, text = post(mesh, CHAT, ASK)
    assert headers["X-Request-Id"] == json.loads(text)["id"].removeprefix("chatcmpl-")


def test_heads_options_version_and_models(mesh):
    status, headers, text = mesh.http("HEAD", "/v1/models")
    assert (status, text) == (200, "") and int(headers["Content-Length"]) > 0
    status, headers, _ = mesh.http("OPTIONS", CHAT)
    assert (status, headers["Allow"]) == (204, "POST, OPTIONS")
    assert "." in json.loads(mesh.http("GET", "/version")[2])["version"]
    model = json.loads(mesh.http("GET", "/v1/models/fake")[2])
    assert model["max_model_len"] == 8192


def test_nothing_is_left(mesh):
    mesh.assert_empty()
