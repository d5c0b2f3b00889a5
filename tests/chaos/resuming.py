"""An HTTP client that does not give up: a stream that was cut goes on behind its last whole event."""

import http.client
import json
import time
import uuid

PATIENCE_S = 120.0
TRY_AGAIN = (429, 503)
PAUSE_S = 0.05  # between two tries


class AnswerLost(Exception):
    """The mesh answered otherwise than it may. `request`: which one, if that is known."""

    def __init__(self, message, request=""):
        super().__init__(message)
        self.request = request


class Answer:
    """What has come so far, in whole events."""

    def __init__(self):
        self.request, self.last_id = "", None
        self.text, self.finish, self.usage, self.done = "", None, None, False

    def take(self, event):
        """`event`: the lines of one."""
        data = next((line[6:] for line in event if line.startswith("data: ")), None)
        if data == "[DONE]":
            self.done = True
        elif data is not None:
            self._take_chunk(json.loads(data))
        self.last_id = next((line[4:] for line in event if line.startswith("id: ")), self.last_id)

    def _take_chunk(self, chunk):
        if "error" in chunk:
            raise AnswerLost(f"{chunk}")
        self.request = chunk["id"].removeprefix("chatcmpl-")
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk["choices"]:
            self.text += choice["delta"].get("content") or ""
            self.finish = choice["finish_reason"] or self.finish


class Resuming:
    """`cuts` and `refusals` say what it has been through."""

    def __init__(self, address):
        self.address, self.cuts, self.refusals = address, 0, 0

    def ask(self, question, **parameters):
        """(text, finish reason, counts of usage), as streams.ask_http has them."""
        body = json.dumps({"model": "default", "messages": [{"role": "user", "content": question}],
                           "stream": True, "stream_options": {"include_usage": True}, **parameters})
        answer, key, deadline = Answer(), uuid.uuid4().hex, time.monotonic() + PATIENCE_S
        while not answer.done:
            if time.monotonic() > deadline:
                raise AnswerLost(f"no end within {PATIENCE_S} s behind event {answer.last_id}",
                                 answer.request)
            if answer.last_id is None:
                answer = Answer()
            try:
                self._read(body, key, answer)
            except (OSError, http.client.HTTPException):
                self.cuts += 1
            if not answer.done:
                time.sleep(PAUSE_S)
        counts = {name: answer.usage[name] for name in ("prompt_tokens", "completion_tokens")}
        return answer.text, answer.finish, counts

    def _read(self, body, key, answer):
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        try:
            if answer.last_id is None:
                connection.request("POST", "/v1/chat/completions", body,
                                   {"Content-Type": "application/json", "Idempotency-Key": key})
            else:
                connection.request("GET", f"/v1/aorta/requests/{answer.request}/stream",
                                   headers={"Last-Event-ID": answer.last_id})
            response = connection.getresponse()
            if response.status in TRY_AGAIN:
                self.refusals += 1
                return
            if response.status != 200:
                raise AnswerLost(f"{response.status}: {response.read()}")
            self._read_events(response, answer)
        finally:
            connection.close()

    @staticmethod
    def _read_events(response, answer):
        event = []
        for line in response:
            line = line.decode().rstrip("\r\n")
            if line:
                event.append(line)
                continue
            answer.take(event)
            event = []
            if answer.done:
                return
