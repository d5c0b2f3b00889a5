"""Prompts that begin alike are computed once: on their executor, on its successor, and for nobody
else. What is found changes no answer, and who finds nothing answers the same.
"""

import json
import os
import time

import pytest

import mesh as meshes

TOKENS = 24
FOUND = 800  # of about 1,000: blocks are 16 tokens, and the newest may not have been saved
TEXTS = iter(range(1 << 30))


def long_prompt(mesh):
    """About 1,000 tokens that nobody has asked before."""
    words = f"Number {next(TEXTS)}. " + "The fox ran along the river and looked for a bridge. " * 100
    return words[:1000] if mesh.model == "fake" else words[:4200]


class Ask:
    """One answer as a client sees it, and how it came about."""

    def __init__(self, mesh, prompt, key=None, **parameters):
        with mesh.client(api_key=key) as client:
            body = {"prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "seed": 7,
                    "ignore_eos": True}
            stream = client.generate(**{**body, **parameters})
            stream.read()
        usage = stream.result.usage
        self.cached, self.prompt_tokens = usage["cached_tokens"], usage["prompt_tokens"]
        self.seen = (stream.ids, stream.text, stream.result.finish_reason,
                     {key: value for key, value in usage.items() if key != "cached_tokens"})
        self.executor = None if key else mesh.executor_of(stream.request)


def wait_for(mesh, figure, least):
    """Until the cache service counts so much. Executors find the store a moment after they are
    ready, and its blocks are counted twice a second."""
    deadline = time.monotonic() + meshes.PATIENCE_S
    while True:
        cache = next((s for s in mesh.audit()["services"] if s["service"] == "cache"), {})
        if cache.get(figure, 0) >= least:
            return
        assert time.monotonic() < deadline, f"{cache}\n{mesh.logs()}"
        time.sleep(0.05)


def wait_shared(mesh, executors):
    wait_for(mesh, "kv_leases", executors)


def kv_file(mesh):
    files = [f for f in os.listdir("/dev/shm") if f.startswith(f"aorta-{os.getuid()}-{mesh.base}-")]
    assert len(files) <= 1, files
    return f"/dev/shm/{files[0]}" if files else None


def models(mesh, key):
    return mesh.http("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})[0]


def start(model, executors=2, sets=None):
    path = "fake" if model == "fake" else meshes.demo_model()
    if path != "fake" and not os.path.exists(path):
        pytest.skip(f"the demo model is not at {path}: tools/run fetches it")
    if model == "fake":  # an answer takes a while, so that it has a middle
        sets = {"engine.fake_step_us": 2000, **(sets or {})}
    mesh = meshes.Mesh(executors=executors, model=path, sets=sets)
    mesh.model = model
    return mesh


@pytest.fixture(scope="module", params=["fake", pytest.param("demo", marks=pytest.mark.slow)])
def shared(request):
    with start(request.param) as mesh:
        wait_shared(mesh, 2)
        yield mesh


def test_the_same_prompt_again_is_found_and_answered_the_same(shared):
    prompt = long_prompt(shared)
    first, again = Ask(shared, prompt), Ask(shared, prompt)
    assert first.cached == 0
    assert FOUND <= again.cached < again.prompt_tokens
    assert again.seen == first.seen
    shared.assert_empty()


def test_http_tells_it_where_openai_does(shared):
    prompt = long_prompt(shared)
    body = {"model": "default", "prompt": prompt, "max_tokens": 4, "temperature": 0}
    usages = [json.loads(shared.http("POST", "/v1/completions", body)[2])["usage"] for _ in range(2)]
    assert usages[0]["prompt_tokens_details"]["cached_tokens"] == 0
    assert usages[1]["prompt_tokens_details"]["cached_tokens"] >= FOUND


def test_requests_go_where_their_prefix_is(shared):
    """Also when another executor is as idle, and comes first by name."""
    homes = {}
    for _ in range(2):  # one long answer each, at the same time: they go to two executors
        prompts = [long_prompt(shared), long_prompt(shared)]
        with shared.client() as client:
            body = {"max_tokens": TOKENS, "temperature": 0, "seed": 7,
                    "ignore_eos": True}
            streams = [client.generate(prompt=prompt, **body) for prompt in prompts]
            for stream in streams:
                stream.read()
        homes.update({p: shared.executor_of(s.request) for p, s in zip(prompts, streams)})
    assert set(homes.values()) == {"executor-1", "executor-2"}, homes
    for prompt, home in homes.items():
        again = Ask(shared, prompt)
        assert again.executor == home and again.cached >= FOUND


def test_what_a_killed_executor_had_its_successor_finds(shared):
    prompt = long_prompt(shared)
    first = Ask(shared, prompt)
    killed = [shared.kill(name) for name in ("executor-1", "executor-2")]
    for process in killed:
        shared.wait_reborn(process)
    wait_shared(shared, 2)
    again = Ask(shared, prompt)
    assert again.cached >= FOUND, "its blocks outlived it"
    assert again.seen == first.seen
    shared.assert_empty()


def test_an_answer_that_moves_computes_its_prompt_once(shared):
    prompt = long_prompt(shared)
    undisturbed = Ask(shared, prompt, max_tokens=120)
    other = long_prompt(shared)
    with shared.client() as client:
        stream = client.generate(prompt=other, max_tokens=120, temperature=0, seed=7,
                                 ignore_eos=True)
        for _ in stream:
            if len(stream.ids) >= 40:
                break
        killed = shared.kill(shared.executor_of(stream.request))
        stream.read()
    epochs = shared.request(stream.request)["epochs"]
    assert [epoch["cached_tokens"] >= FOUND for epoch in epochs] == [False, True], epochs
    assert stream.result.usage["cached_tokens"] == 0, "its client began without"
    assert (stream.ids, stream.text) == Ask(shared, other, max_tokens=120).seen[:2]
    assert len(undisturbed.seen[0]) == 120
    shared.wait_reborn(killed)
    shared.assert_empty()


def test_a_drained_executors_prompts_are_found_by_the_next(shared):
    prompt = long_prompt(shared)
    first = Ask(shared, prompt)
    shared.aorta("drain", first.executor)
    again = Ask(shared, prompt)
    assert again.executor != first.executor and again.cached >= FOUND
    assert again.seen == first.seen
    shared.scale(2)
    wait_shared(shared, 2)


def test_without_the_cache_service_everything_goes_on(shared):
    prompt = long_prompt(shared)
    first = Ask(shared, prompt)
    before = shared.kill("cache")
    again = Ask(shared, prompt)
    assert again.cached >= FOUND and again.seen == first.seen
    shared.wait_reborn(before)
    wait_shared(shared, 2)
    killed = shared.kill(first.executor)
    shared.wait_reborn(killed)
    wait_shared(shared, 2)
    third = Ask(shared, prompt)
    assert third.cached >= FOUND, "the next cache service took the file over"
    assert third.seen == first.seen
    shared.assert_empty()


def test_a_store_that_is_gone_is_no_loss_but_time(shared):
    """Somebody has deleted the file: who has it keeps it, others do without."""
    prompt = long_prompt(shared)
    first = Ask(shared, prompt)
    os.unlink(kv_file(shared))
    killed = shared.kill(first.executor)
    again = Ask(shared, prompt)
    assert again.seen == first.seen
    shared.wait_reborn(killed)
    before = shared.kill("cache")
    shared.wait_reborn(before)
    wait_shared(shared, 2)
    assert kv_file(shared)
    assert Ask(shared, prompt).seen == first.seen


def test_one_tenants_prompts_are_not_anothers():
    with start("fake", executors=1, sets={"security.api_keys": "required"}) as mesh:
        keys = [mesh.aorta("keys", "add", "--tenant", tenant).stdout.strip() for tenant in ("ann", "bob")]
        deadline = time.monotonic() + meshes.PATIENCE_S
        while any(models(mesh, key) != 200 for key in keys):
            assert time.monotonic() < deadline, "the running mesh does not know its new keys"
            time.sleep(0.05)
        prompt = long_prompt(mesh)
        ann = [Ask(mesh, prompt, keys[0]) for _ in range(2)]
        bob = [Ask(mesh, prompt, keys[1]) for _ in range(2)]
        assert [ask.cached >= FOUND for ask in ann + bob] == [False, True, False, True]
        assert ann[0].cached == bob[0].cached == 0
        assert all(ask.seen == ann[0].seen for ask in ann + bob)


def test_it_is_off_when_told_so_and_leaves_no_file_behind():
    with start("fake", executors=1) as mesh:
        wait_shared(mesh, 1)
        path = kv_file(mesh)
        assert os.stat(path).st_mode & 0o777 == 0o600
        on = Ask(mesh, long_prompt(mesh))
        wait_for(mesh, "kv_blocks_used", FOUND // 16)
    assert not os.path.exists(path)
    with start("fake", executors=1) as mesh:
        wait_shared(mesh, 1)
        path = kv_file(mesh)
        mesh.scale(0)  # nobody asks the next life of the cache for it
        mesh.wait_reborn(mesh.kill("cache"))
        assert os.path.exists(path)
    assert not os.path.exists(path)
    with start("fake", executors=1, sets={"engine.prefix_cache": "false", "cache.kv_bytes": 0}) as mesh:
        prompt = long_prompt(mesh)
        first, again = Ask(mesh, prompt), Ask(mesh, prompt)
        assert first.cached == again.cached == 0 and first.seen == again.seen
        assert kv_file(mesh) is None
    assert on.cached == 0
