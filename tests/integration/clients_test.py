"""The clients as their users have them: installed, their examples run, their connections cut."""

import asyncio
import os
import pathlib
import shutil
import subprocess

import pytest

import mesh as meshes
from mesh import ROOT, aorta
from relay import Relay

QUESTION = {"max_tokens": 120, "seed": 4}


def output_of(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=meshes.PATIENCE_S * 5, stdin=subprocess.DEVNULL, **more)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


# ── Installed ────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """A virtual environment with the Python client; pyzmq and msgpack are the system's."""
    folder = tmp_path_factory.mktemp("venv")
    sources = folder / "sources"  # pip builds within them
    shutil.copytree(ROOT / "clients/python", sources, ignore=shutil.ignore_patterns("__pycache__"))
    output_of("/usr/bin/python3", "-m", "venv", "--system-site-packages", folder / "venv")
    output_of(folder / "venv/bin/pip", "install", "--quiet", "--no-index", "--no-build-isolation",
              sources)
    return folder / "venv"


@pytest.mark.parametrize("example", ["example.py", "example_async.py"])
def test_the_python_examples(mesh, venv, example):
    source = ROOT / "clients/python" / example
    assert len(source.read_text().splitlines()) < 20
    said = output_of(venv / "bin/python", "-I", source, mesh.zmq_address, cwd="/")
    assert len(said) > 20


def test_the_python_package_is_typed_and_of_our_version(venv):
    script = ("import aorta, importlib.metadata, os; "
              "print(importlib.metadata.version('aorta')); "
              "print(os.path.exists(os.path.join(os.path.dirname(aorta.__file__), 'py.typed')))")
    version = (ROOT / "VERSION").read_text().strip()
    assert output_of(venv / "bin/python", "-I", "-c", script).split() == [version, "True"]


def test_the_cpp_example_against_the_installed_package(mesh, tmp_path):
    prefix, sources = tmp_path / "prefix", tmp_path / "sources"
    build = pathlib.Path(meshes.BINARY).parent
    output_of("cmake", "--install", build, "--prefix", prefix)
    assert os.access(prefix / "bin/aorta", os.X_OK)
    sources.mkdir()
    example = ROOT / "clients/cpp/example.cpp"
    assert len(example.read_text().splitlines()) < 20
    shutil.copy(example, sources)
    (sources / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(example LANGUAGES CXX)\n"
        "find_package(aorta 0.1 REQUIRED)\nadd_executable(example example.cpp)\n"
        "target_link_libraries(example aorta::client)\n")
    output_of("cmake", "-G", "Ninja", "-S", sources, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    output_of("cmake", "--build", tmp_path / "build")
    assert len(output_of(tmp_path / "build/example", mesh.zmq_address)) > 20


# ── Cut ──────────────────────────────────────────────────────────────────────────────────────
def whole_answer(mesh):
    with mesh.client() as client:
        stream = client.generate("Go on", **QUESTION)
        stream.read()
        return stream.ids, stream.text


def test_answers_go_on_when_the_connection_is_cut(mesh):
    undisturbed = whole_answer(mesh)
    with Relay(mesh.base + 1) as relay, aorta.Client(relay.address) as client:
        stream = client.generate("Go on", **QUESTION)
        for _ in stream:
            if relay.cuts < 3 and len(stream.ids) > 25 * (relay.cuts + 1):
                relay.cut()
        assert (stream.ids, stream.text) == undisturbed
        assert relay.cuts == 3
        assert mesh.request(stream.request)["state"] == "length"
    mesh.assert_empty()


def test_awaited_answers_go_on_when_the_connection_is_cut(mesh):
    undisturbed = whole_answer(mesh)

    async def ask(client, relay, cuts):
        stream = await client.generate("Go on", **QUESTION)
        async for _ in stream:
            if cuts and relay.cuts == 0 and len(stream.ids) > 40:
                relay.cut()
        return stream.ids, stream.text

    async def ask_four():
        with Relay(mesh.base + 1) as relay:
            async with aorta.AsyncClient(relay.address) as client:
                return await asyncio.gather(*[ask(client, relay, i == 0) for i in range(4)])
    assert asyncio.run(ask_four()) == [undisturbed] * 4
    mesh.assert_empty()


def test_choices_and_their_logprobs_go_on_when_the_connection_is_cut(mesh):
    question = {**QUESTION, "n": 3, "logprobs": True, "top_logprobs": 2}

    def choices_of(address, relay=None):
        with aorta.Client(address) as client:
            stream = client.generate("Go on", **question)
            for _ in stream:
                if relay and relay.cuts < 2 and len(stream.ids) > 30 * (relay.cuts + 1):
                    relay.cut()
            return [(c.ids, c.text, c.logprobs, c.result.finish_reason) for c in stream.choices]
    undisturbed = choices_of(mesh.zmq_address)
    assert len(undisturbed) == 3 and len(undisturbed[2][2]) == len(undisturbed[2][0])
    with Relay(mesh.base + 1) as relay:
        assert choices_of(relay.address, relay) == undisturbed
        assert relay.cuts == 2
    mesh.assert_empty()


def test_a_client_that_closes_leaves_nothing(mesh):
    with aorta.Client(mesh.zmq_address) as client:
        stream = client.generate("Go on", max_tokens=5000)
        next(stream)
        request = stream.request
    with mesh.client() as client:
        again = client.resume(request, 0)
        again.read()
        assert again.result.finish_reason == "cancelled"
    mesh.assert_empty()


def test_an_answer_that_nobody_knows_any_more_is_lost_aloud():
    sets = {"engine.fake_step_us": 4000, "journal.sync": "none"}
    with meshes.Mesh(executors=1, sets=sets) as mesh:
        with aorta.Client(mesh.zmq_address) as client:
            stream = client.generate("Go on", max_tokens=200)
            next(stream)
            with aorta.Client(mesh.zmq_address) as other:
                resumed = other.resume(stream.request)  # without the request itself
                next(resumed)
                mesh.kill("admission")
                with pytest.raises(aorta.AnswerLost):
                    resumed.read()
                assert len(resumed.ids) > 0
            assert len(stream.read()) > 0 and len(stream.ids) == 200  # carries it along


def test_nobody_at_the_address_is_said_within_seconds():
    address = f"tcp://127.0.0.1:{meshes.free_port_base()}"
    with aorta.Client(address, connect_s=0.2) as client:
        with pytest.raises(aorta.ConnectionLost, match="nobody answers"):
            client.generate("Hello?")
