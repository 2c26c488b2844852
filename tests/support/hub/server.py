"""A Hub on 127.0.0.1 that speaks enough of the Hub's HTTP interface for the real clients, and fails when told to."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from support.hub.endpoints import ROUTES, Answer, Endpoints, Request, refused, route
from support.hub.faults import Fault, Faults
from support.hub.store import Account, Refusal, Repository, Store


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    endpoint: str
    token: str | None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self) -> None:
        """Find the endpoint, let its fault happen if one is on, and answer."""
        hub, parts = self.server.hub, urlsplit(self.path)
        endpoint, values = route(self.command, parts.path)
        bearer = self.headers.get("Authorization", "")
        token = bearer.removeprefix("Bearer ") if bearer else None
        hub.asked.append(Asked(self.command, self.path, endpoint, token))
        fault = hub.faults.take(endpoint)
        if fault is not None:
            time.sleep(fault.seconds)
            fault.meanwhile()
            if fault.cut == "body" and self._half_of_body():
                return self._hang_up()
        request = Request(self.command, parts.query, self.headers, token, self._body())
        if fault is not None and fault.status is not None:
            answer = refused(Refusal(fault.status, fault.message, fault.code), fault.headers)
            return self._send(
                answer if fault.body is None else Answer(fault.body, fault.status, tuple(fault.headers.items()))
            )
        try:
            with hub.lock:
                answer = Endpoints(hub.store, hub.url, request).answer(endpoint, values)
        except Refusal as refusal:
            answer = refused(refusal)
        if fault is not None and fault.cut == "answer":
            return self._hang_up()
        self._send(answer, half=fault is not None and fault.cut == "body")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _half_of_body(self) -> bool:
        """Read half of the request's body; whether there is one."""
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length // 2)
        return length > 0 or "Transfer-Encoding" in self.headers

    def _hang_up(self) -> None:
        self.close_connection = True
        self.server.shut(self.connection)

    def _send(self, answer: Answer, half: bool = False) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        if self.command != "HEAD":
            # In one piece with the headers, or each answer waits for an acknowledgement.
            self._headers_buffer.append(b"\r\n" + (answer.body[: len(answer.body) // 2] if half else answer.body))
            self.flush_headers()
        else:
            self.end_headers()
        if half:
            self._hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: "LoopbackHub"

    def __init__(self, address: tuple[str, int], hub: "LoopbackHub") -> None:
        self.hub = hub
        self.open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request, client_address) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shut(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        self.open.discard(connection)

    def shut_all(self) -> None:
        """Kept-alive connections would go on being answered by their threads."""
        for connection in list(self.open):
            self.shut(connection)

    def handle_error(self, request, client_address) -> None:
        """A client that went away is not worth a word."""


class LoopbackHub:
    """The server, what it keeps, what it was asked, and the faults that a test has switched on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.faults = Faults()
        self.asked: list[Asked] = []
        self.store = Store()
        self._server: _Server | None = None
        self._start(0)

    def _start(self, port: int) -> None:
        self._server = _Server(("127.0.0.1", port), self)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.shut_all()
            self._server = None

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens."""
        self.stop()
        try:
            yield
        finally:
            self._start(self.port)

    def reset(self) -> None:
        """Forget everything."""
        self.faults.clear()
        self.asked.clear()
        self.store = Store()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def account(self, token: str, name: str, *orgs: str, role: str = "write") -> str:
        """A token of a user."""
        self.store.accounts[token] = Account(name, orgs, role)
        return token

    def fail(self, endpoint: str, **fault: object) -> Fault:
        """Switch on a fault; see `Fault`."""
        assert endpoint in (*ROUTES, "*"), endpoint
        return self.faults.add(Fault(endpoint, **fault))  # type: ignore[arg-type]

    def repository(self, repo_id: str, kind: str = "model") -> Repository:
        return self.store.repositories[kind, repo_id]

    def count(self, endpoint: str) -> int:
        """How often an endpoint was asked."""
        return sum(asked.endpoint == endpoint for asked in self.asked)
