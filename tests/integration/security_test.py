"""What an intruder gets: no key, a wrong one, a revoked one, another tenant's request."""

import json
import os
import signal
import stat
import time

import msgpack
import pytest
import zmq

import mesh as meshes
from mesh import PATIENCE_S

CHAT = {"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 5}


@pytest.fixture(scope="module")
def keyed():
    """A mesh whose clients need keys from its start on: fields `ann` and `bob` are two of them."""
    with meshes.Mesh(executors=1, sets={"security.api_keys": "required",
                                        "engine.fake_step_us": 4000}) as running:
        running.ann, running.bob = add_key(running, "ann"), add_key(running, "bob")
        yield running


def add_key(mesh, tenant):
    """A new key, when the running mesh knows it."""
    key = mesh.aorta("keys", "add", "--tenant", tenant).stdout.strip()
    wait_for(lambda: models(mesh, key), 200)
    return key


def models(mesh, key=None):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return mesh.http("GET", "/v1/models", headers=headers)[0]


def chat(mesh, key, **fields):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return mesh.http("POST", "/v1/chat/completions", {**CHAT, **fields}, headers)


def wait_for(ask, expected):
    """SIGHUP is answered by no message: asks until what it changed is so."""
    deadline = time.monotonic() + PATIENCE_S
    while (got := ask()) != expected:
        assert time.monotonic() < deadline, f"{got} instead of {expected}"


def zmq_call(mesh, verb, body):
    """One message to the ZeroMQ front and its first answer: (verb, map)."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(mesh.zmq_address)
        socket.send_multipart([b"AOR1", verb.encode(), msgpack.packb(body)])
        assert socket.poll(PATIENCE_S * 1000), "no answer"
        _, answer, text = socket.recv_multipart()
        return answer.decode(), msgpack.unpackb(text)


# ── Clients ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("key", [None, "sk-aorta-wrong", ""])
def test_nobodys_key_over_http(keyed, key):
    status, headers, text = chat(keyed, key)
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"
    assert json.loads(text)["error"]["type"] == "authentication_error"


def test_a_key_over_http(keyed):
    status, _, text = chat(keyed, keyed.ann)
    assert status == 200, text
    assert keyed.http("GET", "/health")[0] == 200
    assert keyed.http("GET", "/ready")[0] == 200
    assert keyed.http("GET", "/metrics")[0] == 401


def test_keys_over_zmq(keyed):
    verb, body = zmq_call(keyed, "generate", CHAT)
    assert (verb, body["status"], body["code"]) == ("rejected", 401, "missing_api_key")
    verb, body = zmq_call(keyed, "generate", {**CHAT, "api_key": "sk-aorta-wrong"})
    assert (verb, body["status"], body["code"]) == ("rejected", 401, "invalid_api_key")
    assert zmq_call(keyed, "generate", {**CHAT, "api_key": keyed.ann})[0] == "accepted"


def test_a_revoked_key_is_nobodys(keyed):
    key = add_key(keyed, "carl")
    listed = json.loads(keyed.aorta("keys", "list", "--json").stdout)
    ids = [entry["id"] for entry in listed if entry["tenant"] == "carl"]
    keyed.aorta("keys", "revoke", ids[0])
    wait_for(lambda: models(keyed, key), 401)
    assert models(keyed, keyed.ann) == 200


def test_a_broken_file_keeps_the_old_keys(keyed):
    path = keyed.state / "keys/api_keys"
    good = path.read_text()
    path.write_text("nonsense\n")
    os.kill(keyed.find("admission")["pid"], signal.SIGHUP)
    log = keyed.state / "logs/admission.log"
    wait_for(lambda: "not read again: what was read before stays" in log.read_text(), True)
    assert models(keyed, keyed.ann) == 200
    path.write_text(good)


def test_anothers_request_is_not_there(keyed):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(keyed.zmq_address)
        long = {**CHAT, "max_tokens": 2000, "api_key": keyed.ann}
        socket.send_multipart([b"AOR1", b"generate", msgpack.packb(long)])
        assert socket.poll(PATIENCE_S * 1000)
        request = msgpack.unpackb(socket.recv_multipart()[2])["request"]

        unknown = "0" * 32
        for verb in ("resume", "cancel"):
            of_bob = zmq_call(keyed, verb, {"request": request, "api_key": keyed.bob})
            of_nobody = zmq_call(keyed, verb, {"request": unknown, "api_key": keyed.bob})
            assert of_bob[0] == "rejected" and of_bob[1]["status"] == 404
            assert of_bob[1]["message"] == of_nobody[1]["message"].replace(unknown, request)
        for path in ("", "/stream"):
            for key, status in ((keyed.bob, 404), (None, 401)):
                headers = {"Authorization": f"Bearer {key}"} if key else {}
                where = f"/v1/aorta/requests/{request}{path}"
                assert keyed.http("GET", where, headers=headers)[0] == status
        verb, body = zmq_call(keyed, "cancel", {"request": request, "api_key": keyed.ann})
        assert verb in ("done", "tokens"), "its own tenant may"


def test_the_files_are_private_and_hold_no_key(keyed):
    for name in ("keys/api_keys", "local.key"):
        assert stat.S_IMODE((keyed.state / name).stat().st_mode) == 0o600
    text = (keyed.state / "keys/api_keys").read_text()
    assert keyed.ann not in text and keyed.ann.removeprefix("sk-aorta-") not in text
    assert keyed.ann not in keyed.logs()


def test_listening_beyond_loopback_wants_a_key(tmp_path):
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    base = str(meshes.free_port_base())

    def run(*arguments):
        return meshes.subprocess.run([meshes.BINARY, *arguments, "--port-base", base],
                                     env=environment, capture_output=True, text=True, timeout=60)

    config = tmp_path / "a.yaml"
    config.write_text(f"mesh:\n  port_base: {base}\nhttp:\n  bind: 0.0.0.0\n")
    refused = run("up", "--model", "fake", "--config", str(config))
    assert refused.returncode == 78
    assert "aorta keys add" in refused.stderr
    run("keys", "add")
    assert meshes.subprocess.run([meshes.BINARY, "config", "check", str(config)], env=environment,
                                 timeout=60).returncode == 0
