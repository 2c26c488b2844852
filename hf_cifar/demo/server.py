"""Serve the page on this machine: one port, no other files, nothing loaded from elsewhere."""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hf_cifar.errors import InputError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from hf_cifar.demo.shown_model import ShownModel

LOOPBACK = ("127.0.0.1", "localhost", "::1")
GRACE_SECONDS = 2  # for answers under way, when the page ends
# The browser loads what this server sends and nothing else: no fonts, scripts or counters of others.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; "
    "frame-ancestors 'self'; form-action 'self'"
)
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_SHARE": "False",
    "GRADIO_SSR_MODE": "False",
}


def open_socket(host: str, port: int) -> socket.socket:
    """Take the port, before any work.

    Raises:
        InputError: it is in use or forbidden, or the address is not one of this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host} is no address: use 127.0.0.1") from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(128)
    except OSError as error:
        taken.close()
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"--port {port} at {host} cannot be used ({reason}): give another one, or 0") from error
    return taken


def address_of(opened: socket.socket, host: str) -> str:
    """Return the address of the page."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{opened.getsockname()[1]}"


@contextmanager
def serving(models: Sequence["ShownModel"], opened: socket.socket, host: str) -> Iterator[threading.Thread]:
    """Serve the page within the context, in a thread; its files are deleted in the end.

    Args:
        models: that answer.
        opened: the socket that the page is served at.
        host: its name; where it is this machine's own, no other name is answered to.
    """
    with TemporaryDirectory(prefix="hf-cifar-demo-") as uploads:
        # Read when gradio is imported, and when the page is built.
        os.environ.update(QUIET, GRADIO_TEMP_DIR=uploads)
        import uvicorn

        settings: Any = {"log_level": "critical", "access_log": False, "timeout_graceful_shutdown": GRACE_SECONDS}
        server = uvicorn.Server(uvicorn.Config(build_app(models, host), **settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, name="demo", daemon=True)
        thread.start()
        try:
            yield thread
        finally:
            server.should_exit = True
            thread.join(GRACE_SECONDS + 3)


def build_app(models: Sequence["ShownModel"], host: str) -> "FastAPI":
    """Return the application: the page, and the report of each model."""
    import gradio as gr
    from fastapi import FastAPI, HTTPException
    from fastapi.responses import FileResponse
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from hf_cifar.demo.page import CSS, build_page
    from hf_cifar.demo.uploads import MAX_FILE_BYTES

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/report/{number}")
    def report(number: int) -> FileResponse:
        """Return the report of a model."""
        file = models[number].facts.report if 0 <= number < len(models) else None
        if file is None:
            raise HTTPException(404)
        return FileResponse(file, media_type="text/html")

    app.add_middleware(_Policy)
    if host in LOOPBACK:
        # A page elsewhere whose name is pointed at this machine must not read answers.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    return gr.mount_gradio_app(
        app,
        build_page(models),
        path="/",
        allowed_paths=[],
        max_file_size=MAX_FILE_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        footer_links=[],
        show_error=True,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css_paths=CSS,
    )


class _Policy:
    """Adds to each answer what the browser may load."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await self._app(scope, receive, with_policy)
