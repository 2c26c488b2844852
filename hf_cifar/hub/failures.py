"""Explain failures of the Hub's client, and retry those that may pass."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from hf_cifar.errors import HubError, InputError
from hf_cifar.utils.progress import say

T = TypeVar("T")
WAITS = (1.0, 3.0, 8.0, 15.0)
RETRY_SECONDS = 45.0
# The client itself would wait for ever.
TIMEOUT_SECONDS = 60.0
NEW_TOKEN = "create one with write access at https://huggingface.co/settings/tokens"
TEMPORARY = {408: "timed out", 412: "has a newer commit", 425: "is not ready", 429: "is limiting the request rate"}
_QUOTA = ("quota", "storage", "exceeded", "too large", "limit reached", "payment")


@dataclass(frozen=True)
class Failure:
    """A failed request to the Hub.

    Attributes:
        reason: what happened.
        is_input_error: whether the request is at fault, rather than the Hub or the connection.
        is_temporary: whether a retry may succeed.
        wait: seconds that the Hub asks to wait.
        advice: what to do about it.
    """

    reason: str
    is_input_error: bool = False
    is_temporary: bool = False
    wait: float = 0.0
    advice: str = ""

    def error(self) -> HubError | InputError:
        """Return the error that ends a push."""
        kind = InputError if self.is_input_error else HubError
        return kind(self.reason + (f": {self.advice}" if self.advice else ""))


def explain(error: BaseException, repo_id: str) -> Failure | None:
    """Return what an exception of the Hub's client means; None for any other exception."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

    text = " ".join(str(error).split())
    if "Invalid metadata in README.md" in text:
        return Failure(
            f"the Hub rejected the card: {text.partition('README.md.')[2].strip(' -')[:300]}", is_input_error=True
        )
    if "LFS batch API returned errors" in text:
        return _refused(text.partition("errors:")[2].strip()[:300])
    for cause in _causes(error):
        if isinstance(cause, HfHubHTTPError) and cause.response is not None:
            return _of_status(cause.response.status_code, cause, repo_id)
        if isinstance(cause, OfflineModeIsEnabled):
            return Failure("HF_HUB_OFFLINE is set", is_input_error=True, advice="unset it to reach the Hub")
        if isinstance(cause, HTTPError):
            return Failure(f"the Hub {_of_transport(cause)}", is_temporary=True)
        if isinstance(cause, json.JSONDecodeError):
            return Failure("the Hub sent an invalid response", is_temporary=True)
        if isinstance(cause, (ConnectionError, TimeoutError)):
            return Failure("the connection to the Hub was lost", is_temporary=True)
    return None


def retried(attempt: Callable[[], T], repo_id: str) -> T:
    """Call `attempt` until it succeeds, for about a minute and while its failures are temporary.

    Raises:
        InputError: the request is wrong.
        HubError: the Hub, or the connection to it.
    """
    started = time.monotonic()
    for attempts in range(len(WAITS) + 1):
        _limit_waiting()
        try:
            return attempt()
        except (InputError, HubError):
            raise
        except Exception as error:
            failure = explain(error, repo_id)
            if failure is None:
                raise
            wait = max(failure.wait, WAITS[min(attempts, len(WAITS) - 1)])
            left = RETRY_SECONDS - (time.monotonic() - started)
            if not failure.is_temporary or attempts == len(WAITS) or wait > left:
                raise failure.error() from error
        say(f"{failure.reason}: retrying in {wait:.0f} s ({attempts + 1} of {len(WAITS)})")
        time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def quiet_client() -> Iterator[None]:
    """Reduce the output of the Hub's client to how long it waits, without progress bars; restored afterwards."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger, shown, xet = (
        logging.getLogger("huggingface_hub"),
        not are_progress_bars_disabled(),
        constants.HF_HUB_DISABLE_XET,
    )
    handlers, propagate, level = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [_WaitMessages()], False
    logger.setLevel(logging.WARNING)
    disable_progress_bars()
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
        constants.HF_HUB_DISABLE_XET = xet
        client = get_session()
        client.event_hooks = {
            name: [hook for hook in hooks if hook is not _limit] for name, hooks in client.event_hooks.items()
        }
        if shown:
            enable_progress_bars()


def _limit_waiting() -> None:
    """Give every request of the client a time limit, also those without one."""
    from huggingface_hub import get_session

    client = get_session()
    hooks = client.event_hooks
    if _limit not in hooks["request"]:
        client.event_hooks = {**hooks, "request": [*hooks["request"], _limit]}


def _limit(request: Any) -> None:
    limits = request.extensions.get("timeout") or {}
    given = {name: TIMEOUT_SECONDS if value is None else value for name, value in limits.items()}
    request.extensions = {**request.extensions, "timeout": given}


def give_up_xet(error: BaseException) -> bool:
    """Switch to uploads by plain HTTP after an upload by Xet failed; return whether it was one.

    The client chooses Xet, not the server, which may lack that storage; a firewall may block it too.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError

    if constants.HF_HUB_DISABLE_XET or any(isinstance(cause, HTTPError) for cause in _causes(error)):
        return False
    constants.HF_HUB_DISABLE_XET = True
    return True


class _WaitMessages(logging.Handler):
    """The client's warnings about waiting, each once; the others quote URLs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message on standard error."""
        line = record.getMessage()
        if line.startswith(("Retrying in", "Rate limited")) and line not in self.shown:
            self.shown.add(line)
            say(f"the Hub is slow to respond: {line}")


def _of_status(status: int, error: BaseException, repo_id: str) -> Failure:
    response = error.response  # type: ignore[attr-defined]
    message = " ".join(str(getattr(error, "server_message", None) or "").split())[:300]
    owner = repo_id.partition("/")[0]
    if response.request.method == "PUT":
        # An upload URL that has expired: the next attempt gets a new one.
        return Failure(f"the Hub's storage rejected a file ({status})", is_temporary=True, wait=_retry_after(response))
    if status in (402, 413) or (status == 403 and any(word in message.lower() for word in _QUOTA)):
        return _refused(message or f"status {status}")
    if status == 401 and response.headers.get("X-Error-Code") != "RepoNotFound":
        return Failure("the Hub does not accept the token (401)", is_input_error=True, advice=NEW_TOKEN)
    if status == 403:
        return Failure(f"the token cannot write to {owner} (403)", is_input_error=True, advice=NEW_TOKEN)
    if status in (401, 404):
        return Failure(f"no model {repo_id} on the Hub, or the token cannot see it ({status})", is_input_error=True)
    if status in TEMPORARY or status >= 500:
        problem = TEMPORARY.get(status, "has a server error")
        wait = _retry_after(response)
        asks = f", retry after {wait:,.0f} s" if wait else ""
        return Failure(f"the Hub {problem} ({status}{asks})", is_temporary=True, wait=wait)
    return Failure(f"the Hub refused the request ({status}{': ' + message if message else ''})")


def _refused(message: str) -> Failure:
    return Failure(f"the storage quota does not suffice ({message})", advice="free storage, or request more")


def _of_transport(error: BaseException) -> str:
    """Return why a request got no response; the exception's own text is not used, as it may quote a URL."""
    name = type(error).__name__
    if "ConnectTimeout" in name or "ConnectError" in name:
        return "cannot be reached"
    return "did not respond in time" if "Timeout" in name else "closed the connection"


def _retry_after(response: object) -> float:
    """Return the seconds that the Hub asks to wait; 0 where it does not say."""
    value = getattr(response, "headers", {}).get("Retry-After", "")
    return float(value) if str(value).isdigit() else 0.0


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, then those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__
