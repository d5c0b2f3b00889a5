"""compose/compose.yaml, with the image made from the built binary: brought up, asked from outside,
scaled, killed, restarted and rolled, while clients that try nothing twice see no error.
"""

import os

import pytest

import containers

FIRST, SECOND = "aorta-test:first", "aorta-test:second"


@pytest.fixture(scope="module")
def engine():
    try:
        found = containers.Engine()
    except containers.NoEngine as reason:
        pytest.skip(f"no container engine: {reason}")
    containers.Mesh(found).compose("build", "scheduler", "model")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def mesh(engine):
    """One executor of the fake model."""
    with containers.Mesh(engine, [containers.HERE / "fake.yaml"]) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def load(mesh):
    return containers.Load(mesh)


def test_it_answers_from_outside(mesh):
    ids, text, finish = mesh.ask_zmq("Who is there?", 1, 20)
    assert (len(ids), finish) == (20, "length")
    assert mesh.ask_http("Who is there?", 1, 20) == (text, "length", 20)
    mesh.assert_balanced()


def test_nobody_asks_without_a_key(mesh):
    key, mesh.api_key = mesh.api_key, "sk-nobody-knows-it"
    try:
        for ask in (mesh.ask_zmq, mesh.ask_http):
            with pytest.raises(AssertionError, match="invalid_api_key"):
                ask("Who is there?", 1, 20)
    finally:
        mesh.api_key = key


def test_a_key_made_while_the_mesh_is_up(mesh):
    added = mesh.compose("exec", "-T", "admission", "aorta", "keys", "add").stdout.strip()
    mesh.compose("kill", "-s", "HUP", "admission")
    mesh.wait_said("admission", 'read again what="API keys"')
    first, mesh.api_key = mesh.api_key, added
    try:
        assert mesh.ask_http("Who is there?", 1, 20)[1] == "length"
    finally:
        mesh.api_key = first


def test_health_is_that_of_the_container(mesh):
    for service in ("scheduler", "monitor", "cache", "executor", "admission"):
        check = 'exec aorta health "node-$(hostname)" --wait 20'  # the image's own, and patient
        mesh.compose("exec", "-T", service, "sh", "-c", check)


def test_scale_by_command_says_what_to_run(mesh):
    done = mesh.aorta("scale", "executors=3", check=False)
    assert done.returncode == 3
    assert "--scale executor=3" in done.stderr
    done = mesh.aorta("drain", mesh.executors()[0], check=False)
    assert done.returncode == 3
    assert "docker stop" in done.stderr


def test_scale_up_and_down_under_load(mesh, load):
    with load:
        mesh.scale(4)
        assert len(mesh.executors()) == 4
        mesh.scale(2)
        assert len(mesh.executors()) == 2
    mesh.assert_balanced()


@pytest.mark.parametrize("front", ["ask_zmq", "ask_http"])
def test_a_container_dies_in_the_middle_of_an_answer(mesh, load, front):
    ask = getattr(mesh, front)
    undisturbed = ask("Go on", 5, 200)
    killed = []

    def kill(request, count):
        if count >= 20 and not killed:
            killed.append(mesh.container_of(request))
            mesh.engine.call("POST", f"/containers/{killed[0]}/kill")

    with load:
        assert ask("Go on", 5, 200, kill) == undisturbed
        assert killed
        mesh.scale(2)  # starts it again
    mesh.assert_balanced()


def test_what_a_dead_container_computed_is_found_by_another(mesh):
    mesh.wait_figure("aorta_cache_kv_leases", 2)
    question, asked = "Over the river and through the wood. " * 20, []
    before = mesh.figure("aorta_cache_kv_saves_total")
    answer = mesh.ask_zmq(question, 1, 20, lambda request, _: asked.append(request))
    mesh.wait_figure("aorta_cache_kv_saves_total", before + len(question) // 16 - 2)
    mesh.engine.call("POST", f"/containers/{mesh.container_of(asked[0])}/kill")
    found = mesh.figure("aorta_cache_kv_hits_total")
    assert mesh.ask_zmq(question, 1, 20) == answer
    mesh.wait_figure("aorta_cache_kv_hits_total", found + len(question) // 16 - 2)
    mesh.scale(2)  # starts it again
    mesh.assert_balanced()


@pytest.mark.parametrize("service", ["scheduler", "monitor", "cache"])
def test_a_restarted_service_is_found_again(mesh, load, service):
    with load:
        mesh.compose("restart", service)
        for container in mesh.containers(service) + mesh.containers("executor"):
            mesh.wait_ready(container)
        before = load.answered
        while load.answered < before + len(load.asks) and not load.troubles:
            mesh.aorta("health", "mesh")
    mesh.assert_balanced()


def test_a_restarted_admission_is_found_again(mesh):
    mesh.compose("restart", "admission")
    mesh.aorta("health", "mesh", "--wait", int(containers.PATIENCE_S))
    assert len(mesh.ask_zmq("Back?", 2, 20)[0]) == 20


def test_a_new_image_is_rolled_out_one_executor_at_a_time(mesh, load):
    old = set(mesh.containers("executor"))
    mesh.engine.call("POST", f"/images/{FIRST}/tag?repo={SECOND.replace(':', '&tag=')}")
    mesh.environment["AORTA_IMAGE"] = SECOND
    with load:
        mesh.run(containers.ROOT / "compose/roll")
    new = mesh.containers("executor")
    assert len(new) == len(old) and old.isdisjoint(new)
    for container in new:
        assert SECOND in mesh.engine.call("GET", f"/containers/{container}/json")["Config"]["Image"]
    mesh.assert_balanced()


def test_a_model_that_is_not_there_is_said(engine, tmp_path):
    missing = containers.Mesh(engine, AORTA_MODELS=str(tmp_path), AORTA_MODEL="nosuch.gguf")
    try:
        missing.make_keys()
        assert missing.compose("up", "-d", check=False).returncode != 0
        assert "there is no nosuch.gguf in the volume" in missing.logs()
    finally:
        missing.__exit__()


def test_the_demo_model(engine):
    path = containers.meshes.demo_model()
    if not os.path.exists(path):
        pytest.skip(f"the demo model is not at {path}: tools/run fetches it")
    with containers.Mesh(engine, AORTA_MODELS=os.path.dirname(path)) as mesh:
        mesh.scale(2)
        ask = lambda seen=lambda *_: None: mesh.ask_http("Why is the sky blue?", 1, 80, seen)
        undisturbed, killed = ask(), []

        def kill(request, count):
            if count >= 10 and not killed:
                killed.append(mesh.container_of(request))
                mesh.engine.call("POST", f"/containers/{killed[0]}/kill")

        assert ask(kill) == undisturbed
        assert killed
        mesh.assert_balanced()
