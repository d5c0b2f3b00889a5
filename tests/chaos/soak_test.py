"""64 clients for a minute against 2 executors of the fake model, one in four leaving at random in mid-answer: memory stays
flat, and nothing is held for anybody in the end. What is remembered and cached is bounded low enough to fill in the first half.

AORTA_SOAK_S sets the seconds (default 60). Under a sanitizer memory is not judged: its allocator keeps what is freed.
"""

import os
import random
import threading
import time

import mesh as meshes

CLIENTS = 64
SECONDS = float(os.environ.get("AORTA_SOAK_S", "60"))
SANITIZED = "asan" in meshes.BINARY
GROWTH_KIB = 1024  # of each service in the second half


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


class Client(threading.Thread):
    def __init__(self, mesh, number, stop):
        super().__init__()
        self.mesh, self.rng, self.stop = mesh, random.Random(number), stop
        self.answers, self.left, self.errors = 0, 0, []

    def run(self):
        while not self.stop.is_set():
            try:
                self.ask()
            except Exception as error:  # whatever goes wrong is the test's finding
                self.errors.append(repr(error))

    def ask(self):
        leaves_after = self.rng.randint(1, 60) if self.rng.random() < 0.25 else None
        with self.mesh.client() as client:
            stream = client.generate("x" * self.rng.randint(1, 400), max_tokens=80,
                                     seed=self.rng.randrange(1 << 31))
            for _ in stream:
                if leaves_after is not None and len(stream.ids) >= leaves_after:
                    self.left += 1
                    return
            assert len(stream.ids) == 80, stream.result
            self.answers += 1


def test_memory_is_flat_and_nothing_is_left():
    with meshes.Mesh(executors=2, sets={"engine.fake_step_us": 2000,
                                          "admission.retain_requests": 500,
                                          "scheduler.remember_requests": 500,
                                          "cache.kv_bytes": 4 << 20}) as mesh:
        stop = threading.Event()
        clients = [Client(mesh, number, stop) for number in range(CLIENTS)]
        services = {p["name"]: p["pid"] for p in mesh.processes()}
        for client in clients:
            client.start()
        middle = {}

        def note_middle():
            middle.update({name: resident_kib(pid) for name, pid in services.items()})

        half = threading.Timer(SECONDS / 2, note_middle)
        half.start()
        end = threading.Timer(SECONDS, stop.set)
        end.start()
        stop.wait()
        last = {name: resident_kib(pid) for name, pid in services.items()}
        half.join()
        for client in clients:
            client.join()
        errors = [error for client in clients for error in client.errors]
        answers = sum(client.answers for client in clients)
        left = sum(client.left for client in clients)
        growth = {name: last[name] - middle[name] for name in services}
        print(f"{answers} answers, {left} clients left, RSS in KiB {last}, growth in the second "
              f"half {growth}")
        assert not errors, errors[:3]
        assert answers > CLIENTS and left > 0
        deadline = time.monotonic() + meshes.PATIENCE_S
        while mesh.audit()["figures"]["open"] > 0:
            assert time.monotonic() < deadline, mesh.audit()["figures"]
        mesh.assert_empty()
        if not SANITIZED:
            grown = {name: kib for name, kib in growth.items() if kib >= GROWTH_KIB}
            assert not grown, f"grew: {grown}"
