"""Users who post a prompt, read the answer and ask again at once."""

import itertools

from locust import HttpUser, constant, task

NUMBERS = itertools.count(1)


class Asker(HttpUser):
    wait_time = constant(0)

    @task
    def infer(self):
        body = {"text": f"Once upon a time, in the year {next(NUMBERS)},", "max_tokens": 48,
                "min_tokens": 8}
        with self.client.post("/v1/inference", json=body, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text}")
            elif not answer.json()["text"]:
                answer.failure("no text")
