"""Everything that must survive a cut: answers of the real model whose executors die at drawn token indices.

All of an answer counts: ids, text, reasoning, finish reason, usage, log-probabilities, of each choice. The simulator
cuts at every index; here eight are drawn, of which each test prints where each answer was really cut.
"""

import collections
import json
import os
import random
import re
import signal
import time

import pytest

import mesh as meshes

TOKENS = 80
CUTS = sorted(random.Random(5).sample(range(1, 40), 8))
LEAD = 30  # tokens that a model goes on for while a test notices and kills
STORY = "Tell me a story about a fox and a river."
BEARS = "🦊🐻" * 8  # goes on with bears; each is three tokens
EXECUTORS = ("executor-1", "executor-2")

# By what it is that has to survive. A story goes on for long, so each answer can be cut anywhere.
VARIANTS = {
    "greedy": {"temperature": 0},
    "no seed": {"temperature": 1.0, "seed": None},
    "temperature": {"temperature": 1.3},
    "top_k, top_p": {"temperature": 1.0, "top_k": 20, "top_p": 0.8},
    "min_p": {"temperature": 1.2, "min_p": 0.05},
    "presence and frequency": {"temperature": 0, "presence_penalty": 1.5, "frequency_penalty": 0.8},
    "repetition": {"temperature": 0, "repetition_penalty": 1.4},
    "logit_bias": {"temperature": 0.8, "logit_bias": {"253": -100, "284": 4}},
    "min_tokens": {"question": "Say yes.", "ignore_eos": False, "min_tokens": 70},
    "stop ids": {"temperature": 0.9, "stop_token_ids": [30], "min_tokens": 70},
    "UTF-8": {"question": None, "prompt": BEARS, "temperature": 0},
    "logprobs": {"temperature": 0.9, "logprobs": True, "top_logprobs": 3},
    "three choices": {"temperature": 1.0, "n": 3},
}


def fields(variant):
    return {"question": STORY, "seed": 7, "max_tokens": TOKENS, "ignore_eos": True,
            **VARIANTS[variant]}


def seen(stream):
    """All of an answer that a user can see, but for what is told of how it was made."""
    return [(choice.ids, choice.text, choice.reasoning, choice.logprobs, choice.result.finish_reason,
             {key: value for key, value in choice.result.usage.items() if key != "cached_tokens"})
            for choice in stream.choices]


def ask_all(mesh, asked, cuts=()):
    """Asks them at once; each of `cuts` is (tokens, action): what to do when the first answer has so many."""
    with mesh.client() as client:
        streams = {name: client.generate(**one) for name, one in asked.items()}
        first = next(iter(streams.values()))
        for tokens, action in cuts:
            while len(first.ids) < tokens:
                next(first)
            action(first.request)
        for stream in streams.values():
            stream.read()
        return streams


def first_indices(mesh, stream):
    """Where each life of the answer began; of several choices, of the first."""
    told = mesh.request(stream.request)
    return [epoch["first_index"] for epoch in told.get("choices", [told])[0]["epochs"]]


class Killer:
    """Knows who runs where beforehand, so that a kill comes at once."""

    def __init__(self, mesh):
        self.mesh = mesh
        self.before = {name: mesh.find(name) for name in EXECUTORS}

    def all(self, _=None):
        for process in self.before.values():
            os.kill(process["pid"], signal.SIGKILL)

    def wait_reborn(self):
        self.before = {name: self.mesh.wait_reborn(process)
                       for name, process in self.before.items()}
        self.mesh.wait_ready("executors")


@pytest.fixture(scope="module")
def undisturbed(demo_mesh):
    streams = ask_all(demo_mesh, {variant: fields(variant) for variant in VARIANTS})
    partial = streams["UTF-8"]
    assert partial.text.count("🐻") > 5, partial.text
    assert streams["min_tokens"].result.usage["completion_tokens"] >= 70
    return {variant: seen(stream) for variant, stream in streams.items()}


WERE_CUT = collections.Counter()  # how often each variant was amid its answer when the cut came


@pytest.mark.parametrize("cut", CUTS)
def test_death_of_all_executors(demo_mesh, undisturbed, cut):
    killer = Killer(demo_mesh)
    streams = ask_all(demo_mesh, {variant: fields(variant) for variant in VARIANTS},
                      [(cut, killer.all)])
    cuts = {variant: first_indices(demo_mesh, stream) for variant, stream in streams.items()}
    print(f"cut at {({variant: indices[1:] for variant, indices in cuts.items()})}")
    WERE_CUT.update(variant for variant, indices in cuts.items() if len(indices) > 1)
    drawn = streams.pop("no seed")
    again = ask_all(demo_mesh, {"no seed": {**fields("no seed"), "seed": drawn.seed}})["no seed"]
    assert seen(drawn) == seen(again)
    for variant, stream in streams.items():
        assert seen(stream) == undisturbed[variant], variant
    killer.wait_reborn()
    demo_mesh.assert_empty()


def test_each_variant_was_cut():
    """A client that reads late finds some answers finished by then."""
    if not WERE_CUT:
        pytest.skip("the cuts were left out")
    assert all(WERE_CUT[variant] >= len(CUTS) / 2 for variant in VARIANTS), WERE_CUT


# ── Text that is held back when the cut comes ────────────────────────────────────────────────────
def text_of(mesh, ids):
    return json.loads(mesh.http("POST", "/detokenize", {"tokens": ids})[2])["prompt"]


@pytest.mark.parametrize("cut", CUTS)
def test_stop_string_across_the_cut(demo_mesh, cut):
    """The answer ends within a string that begins before the cut and ends behind it."""
    cut = max(cut, 4)
    asked = {"stop": {"question": STORY, "seed": cut, "temperature": 1.0, "max_tokens": TOKENS,
                      "ignore_eos": True}}
    free = ask_all(demo_mesh, asked)["stop"]
    begin, end = (len(text_of(demo_mesh, free.ids[:at])) for at in (cut - 2, cut + LEAD))
    stop = free.text[begin:end]
    assert free.text.find(stop) == begin, "it comes earlier too"
    asked["stop"]["stop"] = [stop]
    undisturbed = ask_all(demo_mesh, asked)["stop"]
    assert (undisturbed.text, undisturbed.result.finish_reason) == (free.text[:begin], "stop")
    killer = Killer(demo_mesh)
    disturbed = ask_all(demo_mesh, asked, [(cut, killer.all)])["stop"]
    indices = first_indices(demo_mesh, disturbed)
    print(f"cut at {indices[1:]} within {stop!r}")
    if indices[1:]:
        assert cut <= indices[1] < cut + LEAD, "the cut missed it"
        WERE_CUT["stop string"] += 1
    assert seen(disturbed) == seen(undisturbed)
    killer.wait_reborn()
    demo_mesh.assert_empty()


def test_stop_strings_were_cut():
    if not WERE_CUT:
        pytest.skip("the cuts were left out")
    assert WERE_CUT["stop string"] >= len(CUTS) / 2


@pytest.fixture(scope="module")
def thinking_mesh():
    """The fake model, since the demo model does not think: for 20 tokens."""
    sets = {"engine.fake_step_us": 4000, "engine.fake_thinking_tokens": 20}
    with meshes.Mesh(executors=2, sets=sets) as running:
        yield running


@pytest.mark.parametrize("cut", [3, 12, 19, 20, 22, 25, 28, 35])
def test_reasoning_across_the_cut(thinking_mesh, cut):
    """Before, within and behind the tag that ends it, which is eight tokens from 20 on."""
    asked = {"thinking": {"question": STORY, "seed": 7, "max_tokens": TOKENS, "ignore_eos": True}}
    undisturbed = ask_all(thinking_mesh, asked)["thinking"]
    assert undisturbed.reasoning and undisturbed.text
    killer = Killer(thinking_mesh)
    disturbed = ask_all(thinking_mesh, asked, [(cut, killer.all)])["thinking"]
    print(f"cut at {first_indices(thinking_mesh, disturbed)[1:]}")
    assert disturbed.result.epochs > 1
    assert seen(disturbed) == seen(undisturbed)
    killer.wait_reborn()
    thinking_mesh.assert_empty()


# ── Deaths at a bad moment ───────────────────────────────────────────────────────────────────────
# Answers that still run when a client, which may be late, acts on their beginning.
LONG = {variant: {**fields(variant), "max_tokens": 4 * TOKENS}
        for variant in ("temperature", "logprobs", "UTF-8")}


@pytest.mark.parametrize("cut", CUTS)
def test_three_deaths_in_a_row(demo_mesh, cut):
    """Each time of the executor that has taken the answer over, at every twelfth token."""
    asked = {"temperature": LONG["temperature"]}
    undisturbed = ask_all(demo_mesh, asked)["temperature"]
    killed = []

    def kill_its_executor(request):
        """The one that has taken it over, not the one that is dead already."""
        deadline = time.monotonic() + meshes.PATIENCE_S
        while len(lives := demo_mesh.request(request)["epochs"]) <= len(killed) or not lives[-1]["executor"]:
            assert time.monotonic() < deadline, lives
        killed.append(demo_mesh.kill(lives[-1]["executor"]))

    disturbed = ask_all(demo_mesh, asked, [(cut + 12 * death, kill_its_executor)
                                           for death in range(3)])["temperature"]
    indices = first_indices(demo_mesh, disturbed)
    print(f"cut at {indices[1:]}")
    assert len(indices) > 3
    assert seen(disturbed) == seen(undisturbed)
    demo_mesh.wait_ready("executors")
    demo_mesh.assert_empty()


@pytest.fixture(scope="module")
def undisturbed_long(demo_mesh):
    return {variant: seen(stream) for variant, stream in ask_all(demo_mesh, LONG).items()}


@pytest.mark.parametrize("cut", CUTS)
def test_death_during_drain(demo_mesh, undisturbed_long, cut):
    """The executor has been told to leave, and dies before it has finished what it runs."""
    killer, leaving = Killer(demo_mesh), []

    def drain(request):
        leaving.append(killer.before[demo_mesh.executor_of(request)])
        os.kill(leaving[0]["pid"], signal.SIGTERM)

    streams = ask_all(demo_mesh, LONG, [
        (cut, drain), (cut + 4, lambda _: os.kill(leaving[0]["pid"], signal.SIGKILL))])
    cuts = {variant: first_indices(demo_mesh, stream) for variant, stream in streams.items()}
    print(f"cut at {({variant: indices[1:] for variant, indices in cuts.items()})}")
    assert len(cuts["temperature"]) > 1, "it had left before it could be killed"
    for variant, stream in streams.items():
        assert seen(stream) == undisturbed_long[variant], variant
    demo_mesh.wait_reborn(leaving[0])
    demo_mesh.wait_ready("executors")
    demo_mesh.assert_empty()


def test_chunked_prefill_in_progress(demo_mesh):
    """Prompts of several chunks each; all executors die when the first of them has its first token."""
    prompts = {f"prompt {number}": {"prompt": f"{STORY} " * (30 + 10 * number), "max_tokens": 8,
                                    "temperature": 0, "ignore_eos": True} for number in range(5)}
    undisturbed = ask_all(demo_mesh, prompts)
    killer = Killer(demo_mesh)
    streams = ask_all(demo_mesh, prompts, [(1, killer.all)])
    cuts = {name: first_indices(demo_mesh, stream) for name, stream in streams.items()}
    print(f"cut at {cuts}")
    assert sum(indices[1:2] == [0] for indices in cuts.values()) >= 2, "they had their prompts done"
    for name, stream in streams.items():
        assert seen(stream) == seen(undisturbed[name]), name
    killer.wait_reborn()
    demo_mesh.assert_empty()


PRESSED = {number: {"question": STORY, "seed": number, "temperature": 1.0, "max_tokens": TOKENS,
                    "ignore_eos": True} for number in range(8)}


@pytest.fixture(scope="module")
def short_of_blocks():
    """Its streams do not all fit: the youngest give their blocks up and are computed again."""
    path = meshes.demo_model()
    if not os.path.exists(path):
        pytest.skip(f"the demo model is not at {path}: tools/run fetches it")
    with meshes.Mesh(executors=2, model=path, sets={"engine.blocks": 20}) as running:
        running.undisturbed = [ask_all(running, {number: one})[number]
                               for number, one in PRESSED.items()]
        pressed = ask_all(running, PRESSED)
        wait_for_preemption(running)
        assert [seen(stream) for stream in pressed.values()] == [
            seen(stream) for stream in running.undisturbed]
        yield running


def wait_for_preemption(mesh):
    """Executors report it each second."""
    deadline = time.monotonic() + meshes.PATIENCE_S
    while True:
        text = mesh.http("GET", "/metrics", port=2)[2]
        if re.search(r"^aorta_executor_preempted_total{.*} [1-9]", text, re.M):
            return
        assert time.monotonic() < deadline, "no stream was preempted"


@pytest.mark.parametrize("cut", CUTS)
def test_preemption_then_death(short_of_blocks, cut):
    killer = Killer(short_of_blocks)
    disturbed = ask_all(short_of_blocks, PRESSED, [(cut, killer.all)])
    assert any(stream.result.epochs > 1 for stream in disturbed.values())
    assert [seen(stream) for stream in disturbed.values()] == [
        seen(stream) for stream in short_of_blocks.undisturbed]
    killer.wait_reborn()
    short_of_blocks.assert_empty()
