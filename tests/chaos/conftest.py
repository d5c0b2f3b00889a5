"""The chaos tests use the integration tests' mesh and streams."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import mesh as meshes  # noqa: E402


@pytest.fixture(scope="module")
def demo_mesh():
    path = meshes.demo_model()
    if not os.path.exists(path):
        pytest.skip(f"the demo model is not at {path}: tools/run fetches it")
    with meshes.Mesh(executors=2, model=path) as running:
        yield running
