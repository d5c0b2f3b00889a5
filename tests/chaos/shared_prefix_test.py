"""SIGKILL under answers whose prompts begin alike, with everything on that saves computing: prefixes found, blocks fetched
from the host's store, tokens guessed ahead. Each answer must equal that of a mesh where all of it is off.
"""

import os
import random
import re
import threading

import pytest

import mesh as meshes
from streams import Interrupt, ask_zmq

SEED = 31
KILLS = 10
STREAMS = 6
TOKENS = 70
OFF = {"engine.prefix_cache": "false", "engine.draft_tokens": 0, "cache.kv_bytes": 0}
SYSTEM = ("You keep a diary of a lighthouse. Each day has a line: the day, the weather, the ships. "
          + "".join(f"Day {day}: wind from the {wind}, {ships} ships passed, the lamp was lit at dusk. "
                    for day, (wind, ships) in enumerate(zip(["north", "west", "south"] * 8, range(3, 27)), 1)))
ENDINGS = ["Go on with the diary, line by line.", "Write the same lines again.", "Which day had most ships?",
           "Now tell it as a story.", "Repeat day one ten times.", "Write the diary of the next month."]
SAMPLINGS = [{"temperature": 0}, {"temperature": 0.8, "top_p": 0.9, "seed": 5},
             {"temperature": 0.7, "frequency_penalty": 0.2, "seed": 6}]


def asked(number):
    return {"question": f"{SYSTEM} {ENDINGS[number % len(ENDINGS)]}", "max_tokens": TOKENS, "ignore_eos": True,
            **SAMPLINGS[number % len(SAMPLINGS)]}


@pytest.fixture(scope="module")
def plain():
    """The answers where nothing is saved."""
    path = meshes.demo_model()
    if not os.path.exists(path):
        pytest.skip(f"the demo model is not at {path}: tools/run fetches it")
    with meshes.Mesh(executors=1, model=path, sets=OFF) as mesh:
        return [ask_zmq(mesh, **asked(number))[0] for number in range(STREAMS)]


def total(mesh, name):
    text = mesh.http("GET", "/metrics", port=2)[2]
    return sum(float(value) for value in re.findall(rf"^{name}{{[^}}]*}} (\S+)$", text, re.M))


def test_kill_while_prefixes_are_shared(plain, demo_mesh):
    rng = random.Random(SEED)
    found = {"vllm:prefix_cache_hits_total": 0, "vllm:spec_decode_num_accepted_tokens_total": 0,
             "aorta_cache_kv_hits_total": 0}
    epochs = 0
    for kill in range(KILLS):
        after = rng.randint(2, 40)
        killed, answers = [], {}

        def strike(request):
            names = demo_mesh.executors() if kill % 3 == 2 else [demo_mesh.executor_of(request)]
            killed.extend(demo_mesh.kill(name) for name in names)

        def ask(number):
            interrupt = Interrupt(after, strike) if number == 0 else Interrupt(1 << 60, None)
            answers[number] = ask_zmq(demo_mesh, interrupt=interrupt, **asked(number))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(STREAMS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in range(STREAMS):
            assert answers[number][0] == plain[number], (kill, after, number)
            epochs += answers[number][1] - 1
        for process in killed:
            demo_mesh.wait_reborn(process)
        demo_mesh.wait_ready("executors")
        for name in found:
            found[name] = max(found[name], total(demo_mesh, name))
    assert epochs >= KILLS, "a kill came after the last token"
    assert all(found.values()), f"something of it was not used: {found}"
    demo_mesh.assert_empty()
