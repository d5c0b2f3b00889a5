"""The mesh grows and shrinks under load, and no request notices. The clients never retry."""

import threading

from streams import ask_zmq


class Load:
    """So many clients that ask one question after another until stopped."""

    def __init__(self, mesh, clients):
        self.mesh, self.errors, self.answers = mesh, [], 0
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]

    def run(self, number):
        turn = 0
        while not self.stopped.is_set():
            turn += 1
            try:
                (ids, _, finish, _), _ = ask_zmq(self.mesh, f"Question {turn} of {number}",
                                                 max_tokens=40, seed=turn)
                assert (len(ids), finish) == (40, "length")
                with self.lock:
                    self.answers += 1
            except Exception as error:  # whatever goes wrong is the test's finding
                with self.lock:
                    self.errors.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def test_scale_up_and_down_under_32_streams(mesh):
    with Load(mesh, 32) as load:
        mesh.scale(4)
        assert len(mesh.executors()) == 4
        mesh.scale(1)
        assert mesh.executors() == ["executor-1"]
        mesh.scale(2)
    assert not load.errors, load.errors[:3]
    assert load.answers >= 32
    mesh.assert_empty()


def test_drain_one_under_load(mesh):
    with Load(mesh, 8) as load:
        mesh.aorta("drain", "executor-1", "--wait", 60)
        assert mesh.executors() == ["executor-2"]
        mesh.scale(2)
    assert not load.errors, load.errors[:3]
    assert sorted(mesh.executors()) == ["executor-1", "executor-2"]
    mesh.assert_empty()


def test_scale_refuses_what_cannot_be(mesh):
    done = mesh.aorta("scale", "executors=1000", check=False)
    assert done.returncode == 2
    assert "node.max_executors" in done.stdout + done.stderr


def test_drain_of_nobody_says_what_to_run(mesh):
    done = mesh.aorta("drain", "executor-77", check=False)
    assert done.returncode == 2
    assert "aorta ps" in done.stdout + done.stderr
