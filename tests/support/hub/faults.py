"""What goes wrong on the loopback Hub when a test asks for it."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Fault:
    """One way for one endpoint to fail, a number of times.

    Attributes:
        endpoint: the name of the endpoint (see `endpoints.ROUTES`), or "*" for all of them.
        times: how often; None: until it is taken away.
        status: answer with this status instead.
        message: goes with the status.
        headers: go with the status, such as Retry-After.
        code: the Hub's `X-Error-Code`.
        body: goes with the status in the place of the message, as it is.
        seconds: wait so long before anything else.
        meanwhile: is called before the request is answered.
        cut: "body": close the connection in the middle of the request's body, or of the answer's where the request has
            none; "answer": do what is asked, and close the connection instead of answering.
    """

    endpoint: str
    times: int | None = None
    status: int | None = None
    message: str = "it is broken"
    headers: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    body: bytes | None = None
    seconds: float = 0.0
    meanwhile: Callable[[], object] = lambda: None
    cut: str | None = None


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self._on: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        self._on.append(fault)
        return fault

    def clear(self) -> None:
        self._on.clear()

    def take(self, endpoint: str) -> Fault | None:
        """The fault that this request meets, counted."""
        for fault in self._on:
            if fault.endpoint in (endpoint, "*"):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._on.remove(fault)
                return fault
        return None
