"""Models as their authors publish them, config.json and safetensors, behind real processes."""

import json
import subprocess

import pytest

import mesh as meshes

GOLDEN = meshes.ROOT / "tests/golden"


@pytest.fixture(scope="module", params=["tiny-llama3-rope", "tiny-qwen2", "tiny-qwen3"])
def directory(request):
    with meshes.Mesh(executors=2, model=f"{GOLDEN}/models/{request.param}/") as mesh:
        yield request.param, mesh


def test_it_generates_the_golden_ids(directory):
    name, mesh = directory
    for case in json.loads((GOLDEN / f"tiny/{name}.json").read_text())["cases"]:
        # Up to the first choice that f16 KV may decide otherwise.
        close = [margin < 0.05 for margin in case["greedy_margin"]] + [True]
        sure = close.index(True)
        with mesh.client() as client:
            stream = client.generate(prompt=case["ids"], max_tokens=len(case["greedy_ids"]),
                                     temperature=0, ignore_eos=True)
            list(stream)
        assert stream.ids[:sure] == case["greedy_ids"][:sure], case["id"]


def test_it_is_called_as_its_directory_and_has_a_template(directory):
    name, mesh = directory
    with mesh.client() as client:
        stream = client.generate("Hello", model=name, max_tokens=4, ignore_eos=True)
        assert len(list(stream)) > 0
        assert len(stream.ids) == 4


def test_its_pack_is_made_once_and_found_by_the_command(directory):
    name, mesh = directory
    packs = list((mesh.folder / "packs").glob("*.pack"))
    assert len(packs) == 1
    cache = mesh.folder / "cache"
    done = subprocess.run([meshes.BINARY, "model", "pack", f"{GOLDEN}/models/{name}", "--json"],
                          env={**mesh.environment, "XDG_CACHE_HOME": str(cache)},
                          capture_output=True, text=True, check=True)
    made = json.loads(done.stdout)
    assert made["made"]
    assert (cache / "aorta/packs" / packs[0].name).read_bytes() == packs[0].read_bytes()
