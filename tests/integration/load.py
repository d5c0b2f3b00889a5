"""Streams under load, each compared with its undisturbed twin. No client here retries: what it gets, the mesh did."""

import threading
import time

import mesh as meshes
from streams import FRONTS

QUESTIONS = 4


class Watch:
    """Sees a stream's pieces go by: when it began, and for how long nothing came after that."""

    def __init__(self, began):
        self.began, self.last, self.longest_gap_s = began, None, 0.0

    def saw(self, count, request):
        now = time.monotonic()
        if self.last is not None:
            self.longest_gap_s = max(self.longest_gap_s, now - self.last)
        self.last = now
        if count >= 2:
            self.began(self)


class Load:
    """So many clients, in turn over ZeroMQ and HTTP, that ask one question after another until the `with` block ends.

    In the block all of them are amid an answer. `check` says whether each answer was its twin.
    """

    def __init__(self, mesh, clients=12, fronts=tuple(FRONTS), **parameters):
        self.mesh, self.fronts = mesh, fronts
        self.parameters = {"max_tokens": 100, "ignore_eos": True, **parameters}
        self.changed = threading.Condition()
        self.answers, self.epochs, self.longest_gap_s, self.problems = 0, 0, 0.0, []
        self.begun, self.stopped = set(), False
        self.threads = [threading.Thread(target=self._run, args=(number,))
                        for number in range(clients)]
        self.twins = self._ask_undisturbed()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self._wait(lambda: len(self.begun) == len(self.threads), "all clients to begin")
        return self

    def __exit__(self, *_):
        self.stopped = True
        for thread in self.threads:
            thread.join()

    def go_on(self, answers):
        """Waits until so many more answers have come to their ends."""
        goal = self.answers + answers
        self._wait(lambda: self.answers >= goal, f"{answers} more answers")

    def check(self):
        assert not self.problems, f"{len(self.problems)} of {self.answers}: {self.problems[:3]}"
        assert self.answers >= len(self.threads)

    # ── Inside ───────────────────────────────────────────────────────────────────────────────
    def _ask_undisturbed(self):
        twins = {}

        def ask(front, turn):
            twins[front, turn] = self._ask(front, turn, Watch(lambda _: None))[0]

        asking = [threading.Thread(target=ask, args=(front, turn))
                  for front in self.fronts for turn in range(QUESTIONS)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert len(twins) == len(asking), "the mesh does not answer even undisturbed"
        return twins

    def _ask(self, front, turn, watch):
        return FRONTS[front](self.mesh, f"Question {turn}", watch, seed=turn, **self.parameters)

    def _run(self, number):
        front = self.fronts[number % len(self.fronts)]
        turn = number
        while not self.stopped:
            watch = Watch(lambda _: self._note_begun(number))
            try:
                answer, epochs = self._ask(front, turn % QUESTIONS, watch)
                twin = self.twins[front, turn % QUESTIONS]
                problem = None if answer == twin else f"{front} {turn}: {answer} is not {twin}"
            except Exception as error:  # whatever goes wrong is the test's finding
                problem, epochs = f"{front} {turn}: {error!r}", None
            self._note_answer(problem, epochs, watch)
            turn += 1

    def _note_begun(self, number):
        if number in self.begun:
            return
        with self.changed:
            self.begun.add(number)
            self.changed.notify_all()

    def _note_answer(self, problem, epochs, watch):
        with self.changed:
            self.answers += 1
            self.epochs += epochs or 1
            self.longest_gap_s = max(self.longest_gap_s, watch.longest_gap_s)
            if problem:
                self.problems.append(problem)
            self.changed.notify_all()

    def _wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, meshes.PATIENCE_S):
                raise AssertionError(f"waited in vain for {what}: {self.problems[:3]}\n"
                                     f"{self.mesh.logs()}")
