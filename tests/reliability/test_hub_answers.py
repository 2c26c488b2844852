"""A Hub whose answers are not what they should be, where a model is loaded from it: one line, and no traceback."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest
from support.hub.fixtures import TO_THE_LOOPBACK, TOKEN
from support.hub.store import File

CONFIGURATIONS = {
    "a list": b"[]",
    "a number": b"3",
    "half": b'{"model_type": "resn',
    "bytes": b"\xff\xfe\0",
    "a page": b"<html>Bad gateway</html>",
    "nothing": b"",
    "an object without a type": b"{}",
}
PAGE = b"<html>Bad gateway</html>"
FAULTS = {
    "a page for a file": ("resolve", {"status": 200, "body": PAGE}),
    "half a file": ("resolve", {"cut": "body"}),
    # The client asks again and again, for 20 seconds.
    "an error for a file": ("resolve", {"status": 502, "body": PAGE}),
}
# The files are there: the model is loaded all the same.
HARMLESS = {
    "a page for the repository": {"status": 200, "body": PAGE},
    "a list for the repository": {"status": 200, "body": b"[]"},
    "an error for the repository": {"status": 500, "body": PAGE},
}
SLOW = ("an error for a file", "half a file")


@pytest.fixture
def predict(command_line, hub, image_folder, tmp_path):
    """Asks for the predictions of a model of the Hub, and returns the one line that says why there are none."""
    photo = next((image_folder / "test").rglob("*.png"))

    def run(name: str, files: dict[str, bytes], status: int = 2) -> str:
        repo = f"alice/{name.replace(' ', '-')}"
        made = hub.store.create("model", repo, False, TOKEN)
        made.commit("main", "alice", "a model", {name: File(content) for name, content in files.items()})
        before = TO_THE_LOOPBACK.format(url=hub.url, token=TOKEN)
        flags = ["--stage", "predict", "--checkpoint", repo, "--images", photo, "--output", tmp_path / "x.csv"]
        assert command_line.run(*flags, before=before) == status, command_line.err
        assert "Traceback" not in command_line.err and TOKEN not in command_line.err
        return command_line.err.strip().splitlines()[-1]

    return run


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_that_is_none(name, predict):
    line = predict(name, {"config.json": CONFIGURATIONS[name], "model.safetensors": b""})
    assert line.startswith("error: alice/") and len(line) < 600


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in FAULTS])
def test_an_answer_that_is_none(name, predict, hub, tiny_model):
    endpoint, fault = FAULTS[name]
    hub.fail(endpoint, **fault)
    line = predict(name, {path.name: path.read_bytes() for path in tiny_model.iterdir()})
    assert line.startswith("error: alice/") and len(line) < 600


class Elsewhere(BaseHTTPRequestHandler):
    """Another server, which writes down who asks."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.command, self.headers.get("Authorization")))
        self.send_response(404)
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


def test_a_token_goes_to_no_other_server(predict, hub, tiny_model):
    Elsewhere.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        # "localhost" is another name than that of the Hub, 127.0.0.1.
        where = {"Location": f"http://localhost:{server.server_port}/x", "X-Repo-Commit": "0" * 40}
        linked = {"X-Linked-Etag": '"abc"', "X-Linked-Size": "9", "ETag": '"abc"'}
        hub.fail("resolve", status=302, headers={**where, **linked}, body=b"")
        predict("a redirect", {path.name: path.read_bytes() for path in tiny_model.iterdir()})
        server.shutdown()
    assert any(asked.token == TOKEN for asked in hub.asked), "the Hub itself gets it"
    assert Elsewhere.asked and all(token is None for _, token in Elsewhere.asked)


@pytest.mark.parametrize("name", HARMLESS)
def test_an_answer_that_is_not_needed(name, predict, hub, tiny_model):
    hub.fail("info", **HARMLESS[name])
    predict(name, {path.name: path.read_bytes() for path in tiny_model.iterdir()}, status=0)
