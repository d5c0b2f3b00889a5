"""The golden cases of tokenizers and chat templates through HTTP, and the thinking of a model that
thinks. Executors are fake: vocabularies and templates are the models' own.
"""

import http.client
import json
import os

import pytest

import mesh as meshes

GOLDEN = meshes.ROOT / "tests/golden"


class Api:
    """One keep-alive connection to a mesh."""

    def __init__(self, mesh):
        self.connection = http.client.HTTPConnection("127.0.0.1", mesh.base,
                                                     timeout=meshes.PATIENCE_S)

    def post(self, path, **body):
        self.connection.request("POST", path, json.dumps(body))
        answer = self.connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, f"{path} {body}: {text}"
        return text if "event-stream" in answer.headers["Content-Type"] else json.loads(text)


def serve(path):
    if not os.path.exists(path):
        pytest.skip(f"no model at {path}: tools/run fetches the demo model")
    return meshes.Mesh(executors=1, model=path, sets={"engine.kind": "fake"})


@pytest.fixture(scope="module")
def smollm2():
    with serve(meshes.demo_model()) as mesh:
        yield Api(mesh)


@pytest.fixture(scope="module")
def r1distill():
    with serve(GOLDEN / "vocab/r1-distill-qwen-vocab.gguf") as mesh:
        yield Api(mesh)


@pytest.fixture(params=["smollm2", "r1distill"])
def model(request):
    return request.param, request.getfixturevalue(request.param)


def cases(name, file):
    return json.loads((GOLDEN / name / file).read_text())["cases"]


def test_texts_become_the_golden_ids(model):
    name, api = model
    for case in cases(name, "tokenizer.json"):
        got = api.post("/tokenize", prompt=case["text"], add_special_tokens=False)
        allowed = [case["ids"], case.get("also_accept"), case.get("llama_cpp_ids")]
        assert got["tokens"] in allowed, case["id"]
        assert got["count"] == len(got["tokens"])


def test_ids_become_their_text_again(model):
    name, api = model
    for case in cases(name, "tokenizer.json"):
        if case.get("lossless", True):
            got = api.post("/detokenize", tokens=case["ids"])
            assert got["prompt"] == case["text"], case["id"]


def test_conversations_become_the_golden_ids(model):
    name, api = model
    for case in cases(name, "chat.json"):
        ask = {"messages": case["messages"], "add_generation_prompt": case["add_generation_prompt"]}
        got = api.post("/tokenize", **ask)
        assert got["tokens"] == case["ids"], case["messages"]
        assert api.post("/detokenize", tokens=got["tokens"])["prompt"] == case["rendered"]


def chunks_of(stream):
    lines = [line[6:] for line in stream.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


SPACE = " \t\r\n"


def told_apart(raw):
    """(thinking, answer) of a raw answer: it thinks if it begins with <think>."""
    if not raw.startswith("<think>"):
        return "", raw
    thinking, tag, answer = raw.removeprefix("<think>").partition("</think>")
    assert tag, "an answer that never stops thinking would show less"
    return thinking.strip(SPACE), answer.lstrip(SPACE)


@pytest.mark.parametrize("seed, thinks", [(1, True), (0, False)])
def test_thinking_is_told_from_the_answer(r1distill, seed, thinks):
    """The raw completion of the same prompt has both, with the tags around the thinking."""
    messages = [{"role": "user", "content": "How many r are in strawberry?"}]
    begin, end = (r1distill.post("/tokenize", prompt=tag, add_special_tokens=False)["tokens"]
                  for tag in ("<think>", "</think>"))
    prompt = r1distill.post("/tokenize", messages=messages)["tokens"]
    how = {"seed": seed, "max_tokens": 80, "logit_bias": {str(begin[0]): 40, str(end[0]): 10}}
    raw = r1distill.post("/v1/completions", prompt=prompt, **how)["choices"][0]["text"]
    thinking, answer = told_apart(raw)
    assert bool(thinking) == thinks, raw

    whole = r1distill.post("/v1/chat/completions", messages=messages, **how)
    message = whole["choices"][0]["message"]
    assert message.get("reasoning", "") == message.get("reasoning_content", "") == thinking
    assert message["content"] == answer
    details = whole["usage"]["completion_tokens_details"]
    assert (0 < details["reasoning_tokens"] < 80) == thinks

    stream = r1distill.post("/v1/chat/completions", messages=messages, stream=True, **how)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks_of(stream)]
    for field in ("reasoning", "reasoning_content", "content"):
        assert "".join(d.get(field, "") for d in deltas) == message.get(field, ""), field
