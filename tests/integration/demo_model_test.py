"""A real model behind real processes: it answers, and an executor's death changes nothing."""

import pytest

from streams import FRONTS, Interrupt, ask_zmq

pytestmark = pytest.mark.slow
QUESTION = "What is the capital of France, and what is it famous for?"


def test_it_knows_the_capital_of_france(demo_mesh):
    (_, text, finish, _), _ = ask_zmq(demo_mesh, QUESTION, max_tokens=20, temperature=0)
    assert text.startswith("The capital of France is Paris.")
    assert finish == "length"


@pytest.mark.parametrize("sampling", [{"temperature": 0, "seed": 1},
                                      {"temperature": 0.8, "top_p": 0.95, "seed": 2}],
                         ids=["greedy", "sampled"])
@pytest.mark.parametrize("front", FRONTS)
def test_an_answer_survives_its_executor(demo_mesh, front, sampling):
    question, ask = "Write a story about a lighthouse.", FRONTS[front]
    undisturbed, _ = ask(demo_mesh, question, max_tokens=60, **sampling)
    killed = []
    kill = Interrupt(15, lambda request: killed.append(
        demo_mesh.kill(demo_mesh.executor_of(request))))
    disturbed, _ = ask(demo_mesh, question, kill, max_tokens=60, **sampling)
    assert disturbed == undisturbed
    demo_mesh.wait_reborn(killed[0])
    demo_mesh.assert_empty()


def test_the_second_executor_adds_no_second_pack(demo_mesh):
    packs = list((demo_mesh.folder / "packs").glob("*.pack"))
    assert len(packs) == 1
    for name in ("executor-1", "executor-2"):
        pid = demo_mesh.find(name)["pid"]
        assert str(packs[0]) in open(f"/proc/{pid}/maps").read(), name
