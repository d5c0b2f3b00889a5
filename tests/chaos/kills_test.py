"""SIGKILL of the executor that serves a stream of the real model, at many points of many answers.

Each answer must equal the undisturbed one: ids over ZeroMQ, text, finish reason and usage. No client here retries.
"""

import random

import pytest

from streams import FRONTS, Interrupt

SEED = 20
QUESTIONS = ["Tell me a story about a fox and a river.", "Explain how bread is made, step by step.",
             "Write a letter to a friend about the sea.", "List reasons to learn a language."]
SAMPLINGS = [{"temperature": 0}, {"temperature": 1.0}, {"temperature": 0.8, "top_p": 0.9},
             {"temperature": 0.7, "top_k": 40}, {"temperature": 1.1, "min_p": 0.05},
             {"temperature": 0.9, "frequency_penalty": 0.3, "presence_penalty": 0.2}]


def draw(number):
    """The number-th kill: where, of what, and whether all executors go at once."""
    rng = random.Random(SEED * 1000 + number)
    return {"front": ["zmq", "http"][number % 2], "question": rng.choice(QUESTIONS),
            "after": rng.randint(2, 60), "all": number % 4 == 3,
            "parameters": {"seed": rng.randrange(1 << 31), "max_tokens": 320, "ignore_eos": True,
                           **SAMPLINGS[number % len(SAMPLINGS)]}}


@pytest.mark.parametrize("number", range(20))
def test_kill_while_it_answers(demo_mesh, number):
    plan = draw(number)
    ask = FRONTS[plan["front"]]
    undisturbed, _ = ask(demo_mesh, plan["question"], **plan["parameters"])
    seen = {}

    def kill(request):
        seen["request"] = request
        server = demo_mesh.executor_of(request)
        names = demo_mesh.executors() if plan["all"] else [server]
        assert server in names
        seen["killed"] = [demo_mesh.kill(name) for name in names]

    disturbed, _ = ask(demo_mesh, plan["question"], Interrupt(plan["after"], kill),
                       **plan["parameters"])
    assert disturbed == undisturbed
    audit = demo_mesh.audit()
    admission = next(s for s in audit["services"] if s["service"] == "admission")
    record = next(r for r in admission["requests"] if r["id"] == seen["request"])
    assert record["epoch"] >= 2, "the kill came after the last token: nothing was tested"
    for process in seen["killed"]:
        demo_mesh.wait_reborn(process)
    demo_mesh.wait_ready("executors")
    demo_mesh.assert_empty()
