"""The first pack of a model, by hand on a terminal and out of files that are not whole."""

import os
import pathlib
import shutil
import subprocess

import pytest

import mesh as meshes
from terminal import Terminal

MODELS = meshes.ROOT / "tests/golden/models"
GGUF, DIRECTORY = MODELS / "gguf/tiny-qwen2.F16.gguf", MODELS / "tiny-qwen3"


def environment(tmp_path):
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"),
            "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.mark.parametrize("model", [GGUF, DIRECTORY], ids=["gguf", "directory"])
def test_packing_shows_a_bar_once(tmp_path, model):
    command = [meshes.BINARY, "model", "pack", model]
    with Terminal(command, environment(tmp_path)) as terminal:
        terminal.wait_for(r"packing \[#{25}\] 100 % of \d+ MiB")
        terminal.wait_for(r"\.pack\r\n")
        assert terminal.exit_code() == 0
    with Terminal(command, environment(tmp_path)) as terminal:
        assert "packing [" not in terminal.wait_for("(.*)was packed already")[1]
        assert terminal.exit_code() == 0


def test_a_mesh_on_a_terminal_shows_the_bar_before_it_starts(tmp_path):
    command = [meshes.BINARY, "up", "--port-base", meshes.free_port_base(), "--executors", "1",
               "--model", DIRECTORY]
    with Terminal(command, environment(tmp_path)) as terminal:
        shown = terminal.wait_for(r"(.*)The mesh is ready, serving tiny-qwen3\.")[1]
        assert shown.index("100 % of") < shown.index("started")
        terminal.process.terminate()
        assert terminal.exit_code() == 0


def truncated(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def test_models_that_are_not_whole_are_sentences(tmp_path):
    def refused(path):
        done = subprocess.run([meshes.BINARY, "model", "pack", str(path)], text=True,
                              capture_output=True, env=environment(tmp_path), timeout=60)
        assert done.returncode in (1, 3) and done.stdout == "", done
        assert "packing [" not in done.stderr and done.stderr.count("\n") == 1
        assert str(path) in done.stderr
        return done.stderr

    assert "No such file" in refused(tmp_path / "nowhere.gguf")
    part = pathlib.Path(shutil.copy(GGUF, tmp_path / "part.gguf"))
    truncated(part, GGUF.stat().st_size - 1000)
    assert "partial download" in refused(part)
    folder = tmp_path / "directory"
    shutil.copytree(DIRECTORY, folder)
    truncated(folder / "model.safetensors", 900_000)
    assert "partial download" in refused(folder)
    (folder / "config.json").unlink()
    assert "it has no config.json" in refused(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    assert "is it a model's directory?" in refused(folder)
    assert not list((tmp_path / "cache").rglob("*.pack*"))
