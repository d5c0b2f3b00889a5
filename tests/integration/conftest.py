"""Fixtures and markers of the integration tests. `slow` is left out of `tools/test --quick`."""

import os

import pytest

import mesh as meshes

# A step that takes a while, so that there is a middle of an answer to interrupt.
STEADY = {"engine.fake_step_us": 4000}


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; not in the inner loop")


@pytest.fixture(scope="module")
def mesh():
    """Two executors of the fake model, fresh for each test file."""
    with meshes.Mesh(executors=2, sets=STEADY) as running:
        yield running


@pytest.fixture(scope="module")
def demo_mesh():
    path = meshes.demo_model()
    if not os.path.exists(path):
        pytest.skip(f"the demo model is not at {path}: tools/run fetches it")
    with meshes.Mesh(executors=2, model=path) as running:
        yield running
