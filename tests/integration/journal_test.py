"""The journal's file: what it keeps, and whatever may be wrong with it or with its disk."""

import contextlib
import pathlib
import shutil
import sqlite3
import subprocess
import time

import pytest

import mesh as meshes
from mesh import BINARY, PATIENCE_S
from raw_client import Raw
from streams import ask_zmq

import aorta

QUESTION = "Tell me a long story about a heart."
IN_USE, BAD_CONFIGURATION = 3, 78


@pytest.fixture(scope="module")
def mesh():
    with meshes.Mesh(executors=1) as running:
        yield running


def journal_of(mesh):
    return mesh.state / "journal" / "admission.sqlite"


def test_the_journal_keeps_nothing_of_what_is_over():
    with meshes.Mesh(executors=1, sets={"admission.retain_ms": 0}) as mesh:
        for seed in range(5):
            ask_zmq(mesh, QUESTION, max_tokens=5, seed=seed)
        mesh.stop()
        with contextlib.closing(sqlite3.connect(journal_of(mesh))) as journal:
            assert journal.execute("SELECT count(*) FROM requests").fetchone() == (0,)
            assert journal.execute("SELECT count(*) FROM choices").fetchone() == (0,)
        for file in journal_of(mesh).parent.iterdir():
            assert file.stat().st_mode & 0o777 == 0o600
        assert journal_of(mesh).parent.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def full_disk():
    """A small file system of its own, and how to fill it."""
    folder = pathlib.Path(meshes.tempfile.mkdtemp(prefix="aorta-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"nothing can be mounted here: {mounted.stderr}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


def assert_ready(mesh, status, reason=""):
    """Says so soon: its disk is tried again each second."""
    deadline = time.monotonic() + PATIENCE_S
    while (told := mesh.http("GET", "/ready"))[0] != status or reason not in str(told[2]):
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def test_a_full_disk_refuses_and_harms_nothing_else(full_disk):
    settings = {"journal.folder": full_disk / "journal", "engine.fake_step_us": 4000}
    with meshes.Mesh(executors=1, sets=settings) as mesh:
        undisturbed, _ = ask_zmq(mesh, QUESTION, max_tokens=120, seed=61)
        filler = full_disk / "filler"
        with Raw(mesh.zmq_address) as running, mesh.client() as client:
            running.say("generate", messages=[{"role": "user", "content": QUESTION}],
                        max_tokens=120, seed=61)
            accepted, ids, text, _ = running.read(5)
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            refused = None
            for _ in range(100):  # what the file has room for already is still taken
                try:
                    client.generate("Now?" * 200, max_tokens=1).read()
                except aorta.Rejected as rejected:
                    refused = rejected
                    break
            assert (refused.status, refused.reason) == (503, "journal_unavailable")
            assert "disk is full" in str(refused) and refused.retry_after > 0
            assert_ready(mesh, 503, "the journal cannot be written")
            _, rest, more, end = running.read()  # what runs, runs on
            assert (ids + rest, text + more) == undisturbed[:2]
            filler.unlink()
            assert_ready(mesh, 200)
            assert client.generate("And now?", max_tokens=3).read()
        mesh.assert_empty()


def test_a_journal_that_cannot_be_made_refuses_until_it_can(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with meshes.Mesh(executors=1, sets={"journal.folder": disk / "journal"}) as mesh:
        disk.rename(tmp_path / "away")
        disk.write_text("a file where a folder is to be")
        mesh.wait_reborn(mesh.kill("admission"))
        assert_ready(mesh, 503, "the journal cannot be written")
        with mesh.client() as client:
            with pytest.raises(aorta.Rejected, match="The journal cannot be written"):
                client.generate("Now?", max_tokens=1)
            disk.unlink()
            (tmp_path / "away").rename(disk)
            assert_ready(mesh, 200)
            assert client.generate("And now?", max_tokens=3).read()
        mesh.assert_empty()


def test_a_damaged_journal_is_set_aside_aloud():
    with meshes.Mesh(executors=1) as mesh:
        ask_zmq(mesh, QUESTION, max_tokens=5, seed=1)
        mesh.stop()
        journal_of(mesh).write_bytes(b"no database at all" * 1000)
        mesh.start()
        ask_zmq(mesh, QUESTION, max_tokens=5, seed=1)
        assert pathlib.Path(f"{journal_of(mesh)}.damaged").exists()
        log = (mesh.state / "logs" / "admission.log").read_text()
        assert "the journal is damaged" in log and "cannot be resumed" in log


def test_a_second_process_that_cannot_listen_leaves_the_journal_alone(mesh):
    second = subprocess.run(
        [BINARY, "serve", "admission", "--model", "fake", "--port-base", str(mesh.base)],
        env=mesh.environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert second.returncode == IN_USE and "is in use" in second.stderr
    with mesh.client() as client:
        assert client.generate("Still there?", max_tokens=3).read()


def test_another_meshs_journal_is_not_touched(mesh, tmp_path):
    environment = {**mesh.environment, "XDG_STATE_HOME": str(tmp_path)}
    second = subprocess.run(
        [BINARY, "serve", "admission", "--model", "fake",
         "--port-base", str(meshes.free_port_base()),
         "--set", f"journal.folder={journal_of(mesh).parent}"],
        env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert second.returncode == BAD_CONFIGURATION
    assert f"another mesh, with the state folder {mesh.state}" in second.stderr
    with mesh.client() as client:
        assert client.generate("Still there?", max_tokens=3).read()


def test_a_journal_that_is_deleted_in_use_is_made_again():
    with meshes.Mesh(executors=1) as mesh, mesh.client() as client:
        assert client.generate("Now?", max_tokens=3).read()
        shutil.rmtree(journal_of(mesh).parent)
        try:
            client.generate("Now?", max_tokens=3).read()
        except aorta.Rejected as refused:  # unless the first one's end had found it out
            assert "its file cannot be written" in str(refused)
        assert "was deleted or moved away" in mesh.logs()
        assert client.generate("Now?", max_tokens=3).read()
        assert journal_of(mesh).exists()


def test_a_newer_journal_is_not_touched():
    with meshes.Mesh(executors=1) as mesh:
        mesh.stop()
        with contextlib.closing(sqlite3.connect(journal_of(mesh))) as journal:
            journal.execute("PRAGMA user_version=99")
        before = journal_of(mesh).read_bytes()
        done = subprocess.run(
            [BINARY, "serve", "admission", "--model", "fake", "--port-base", str(mesh.base)],
            env=mesh.environment, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == BAD_CONFIGURATION
        assert "written by a newer aorta" in done.stderr
        assert journal_of(mesh).read_bytes() == before
