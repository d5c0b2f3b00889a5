"""The HTTP front under TLS, and who speaks the wrong one of the two."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time

import pytest

import mesh as meshes
from mesh import PATIENCE_S

CHAT = {"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 20}


def make_certificate(folder, name):
    """A certificate of its own authority for localhost; its path and its key's."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(folder, "first")
    sets = {"http.tls_certificate": certificate, "http.tls_key": key,
            "http.header_timeout_ms": 1000, "engine.fake_step_us": 1000}
    with meshes.Mesh(executors=1, sets=sets) as running:
        running.certificate, running.key = certificate, key
        yield running


def context_for(mesh, **settings):
    context = ssl.create_default_context(cafile=mesh.certificate)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def connect(mesh, context):
    """A TLS connection to the front, its handshake done."""
    plain = socket.create_connection(("127.0.0.1", mesh.base), timeout=PATIENCE_S)
    return context.wrap_socket(plain, server_hostname="localhost")


def test_requests_one_after_another_on_one_connection(secure):
    connection = http.client.HTTPSConnection("localhost", secure.base, timeout=PATIENCE_S,
                                             context=context_for(secure))
    for stream in (False, True, False):
        connection.request("POST", "/v1/chat/completions", json.dumps({**CHAT, "stream": stream}))
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200
        assert text.endswith("data: [DONE]\n\n") if stream else json.loads(text)["choices"]
    connection.close()


def test_pipelined_requests_in_one_record(secure):
    with connect(secure, context_for(secure)) as client:
        ask = "GET /health HTTP/1.1\r\nHost: h\r\n{}\r\n"
        client.sendall((ask.format("") * 3 + ask.format("Connection: close\r\n")).encode())
        text = b"".join(iter(lambda: client.recv(65536), b""))
        assert text.count(b"HTTP/1.1 200 OK") == 4


def test_a_large_body_and_a_large_answer(secure):
    ids = [65] * 100_000
    connection = http.client.HTTPSConnection("localhost", secure.base, timeout=PATIENCE_S,
                                             context=context_for(secure))
    connection.request("POST", "/detokenize", json.dumps({"tokens": ids}))
    answer = connection.getresponse()
    assert answer.status == 200
    assert len(json.loads(answer.read())["prompt"]) >= len(ids)
    connection.close()


def test_what_is_spoken(secure):
    context = context_for(secure)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connect(secure, context) as client:
        assert client.version() == "TLSv1.3"
        assert client.selected_alpn_protocol() == "http/1.1"
    with connect(secure, context_for(secure, maximum_version=ssl.TLSVersion.TLSv1_2)) as client:
        assert client.version() == "TLSv1.2"
    only_h2 = context_for(secure)
    only_h2.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError):
        connect(secure, only_h2)


def test_plain_http_at_the_tls_port_is_told(secure):
    status, _, text = secure.http("GET", "/health")
    assert status == 400
    assert json.loads(text)["error"]["code"] == "https_required"


def test_tls_at_a_plain_port_is_an_error_at_once(secure):
    plain = socket.create_connection(("127.0.0.1", secure.base + 2), timeout=PATIENCE_S)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):  # what it sent may never be read
        context_for(secure).wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_handshake_that_stalls_ends_at_the_headers_deadline(secure, first):
    with socket.create_connection(("127.0.0.1", secure.base), timeout=PATIENCE_S) as stalled:
        stalled.sendall(first)
        assert stalled.recv(1) == b"", "closed by the front"


def test_a_client_that_leaves_cancels_its_answer(secure):
    with connect(secure, context_for(secure)) as client:
        body = json.dumps({**CHAT, "max_tokens": 4000, "stream": True})
        client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert b"200 OK" in client.recv(4096)
    secure.assert_empty()


def test_a_new_certificate_is_read_at_hup(secure, tmp_path):
    certificate, key = make_certificate(tmp_path, "second")
    old = connect(secure, context_for(secure))
    secure.certificate.write_bytes(certificate.read_bytes())
    secure.key.write_bytes(key.read_bytes())
    os.kill(secure.process.pid, signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            connect(secure, context_for(secure)).close()
            break
        except ssl.SSLError:  # still the first
            assert time.monotonic() < deadline
    old.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert b"200 OK" in old.recv(4096), "connections go on with what they began with"
    old.close()


@pytest.mark.parametrize("certificate, key, expected", [
    ("missing", "missing", "cannot be read"),
    ("junk", "junk", "no certificate in PEM"),
    ("good", "junk", "no private key in PEM"),
    ("good", "", "go together"),
])
@pytest.mark.parametrize("command", [["up"], ["serve", "admission"]])
def test_wrong_files_are_named(tmp_path, certificate, key, expected, command):
    good, _ = make_certificate(tmp_path, "good")
    (tmp_path / "junk").write_text("junk")
    paths = {"missing": tmp_path / "missing", "junk": tmp_path / "junk", "good": good, "": ""}
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([meshes.BINARY, *command, "--model", "fake", "--port-base",
                           str(meshes.free_port_base()),
                           "--set", f"http.tls_certificate={paths[certificate]}",
                           "--set", f"http.tls_key={paths[key]}"],
                          env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78, "bad configuration: starting again would not help"
    assert expected in done.stderr
