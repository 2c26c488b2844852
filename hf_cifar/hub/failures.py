"""What goes wrong between here and the Hub, in words; and what is worth another try."""

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
PATIENCE_SECONDS = 45.0
# A server that says nothing for so long says nothing any more; the client would wait for ever.
TIMEOUT_SECONDS = 60.0
NEW_TOKEN = "make one that may write at https://huggingface.co/settings/tokens"
PASSING = {408: "was too slow", 412: "has a newer commit", 425: "is not ready", 429: "is asked too often"}
_QUOTA = ("quota", "storage", "exceeded", "too large", "limit reached", "payment")


@dataclass(frozen=True)
class Failure:
    """One thing that went wrong.

    Attributes:
        reason: what happened.
        wrong: whether the request is at fault, and not the Hub or the way to it.
        passing: whether the same may work in a moment.
        wait: how many seconds the Hub asks to wait.
        advice: what to do about it.
    """

    reason: str
    wrong: bool = False
    passing: bool = False
    wait: float = 0.0
    advice: str = ""

    def error(self) -> HubError | InputError:
        """As the error that ends a push."""
        kind = InputError if self.wrong else HubError
        return kind(self.reason + (f": {self.advice}" if self.advice else ""))


def explain(error: BaseException, repo_id: str) -> Failure | None:
    """Say what an exception of the Hub's client means; None for one that is not of its making."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

    text = " ".join(str(error).split())
    if "Invalid metadata in README.md" in text:
        return Failure(f"the Hub refuses the card: {text.partition('README.md.')[2].strip(' -')[:300]}", wrong=True)
    if "LFS batch API returned errors" in text:
        return _refused(text.partition("errors:")[2].strip()[:300])
    for cause in _causes(error):
        if isinstance(cause, HfHubHTTPError) and cause.response is not None:
            return _of_status(cause.response.status_code, cause, repo_id)
        if isinstance(cause, OfflineModeIsEnabled):
            return Failure("HF_HUB_OFFLINE is set", wrong=True, advice="unset it to reach the Hub")
        if isinstance(cause, HTTPError):
            return Failure(f"the Hub {_of_transport(cause)}", passing=True)
        if isinstance(cause, json.JSONDecodeError):
            return Failure("the Hub gave an answer that cannot be read", passing=True)
        if isinstance(cause, (ConnectionError, TimeoutError)):
            return Failure("the connection to the Hub was lost", passing=True)
    return None


def patiently(attempt: Callable[[], T], repo_id: str) -> T:
    """Call `attempt` until it works, as long as what goes wrong may pass; about a minute at most.

    Raises:
        InputError: the request is wrong.
        HubError: the Hub, or the way to it.
    """
    begun = time.monotonic()
    for number in range(len(WAITS) + 1):
        _make_impatient()
        try:
            return attempt()
        except (InputError, HubError):
            raise
        except Exception as error:
            failure = explain(error, repo_id)
            if failure is None:
                raise
            wait = max(failure.wait, WAITS[min(number, len(WAITS) - 1)])
            left = PATIENCE_SECONDS - (time.monotonic() - begun)
            if not failure.passing or number == len(WAITS) or wait > left:
                raise failure.error() from error
        say(f"{failure.reason}: trying again in {wait:.0f} s ({number + 1} of {len(WAITS)})")
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


@contextmanager
def a_quiet_client() -> Iterator[None]:
    """Let the Hub's client say of what it waits for only how long, and show no bars; afterwards it is as before."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger, shown, xet = (
        logging.getLogger("huggingface_hub"),
        not are_progress_bars_disabled(),
        constants.HF_HUB_DISABLE_XET,
    )
    handlers, propagate, level = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [_Waiting()], False
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


def _make_impatient() -> None:
    """Give every request of the client a limit, also those that are made to wait for ever."""
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
    """Upload by plain HTTP from now on, where an upload by Xet has failed; whether it was one.

    Xet is another protocol than HTTP, chosen by the client and not by the server, who may have no such storage; a
    firewall may not let it through either.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError

    if constants.HF_HUB_DISABLE_XET or any(isinstance(cause, HTTPError) for cause in _causes(error)):
        return False
    constants.HF_HUB_DISABLE_XET = True
    return True


class _Waiting(logging.Handler):
    """Of the client's warnings those that say how long it waits, each once; the others quote addresses."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the person who watches."""
        line = record.getMessage()
        if line.startswith(("Retrying in", "Rate limited")) and line not in self.said:
            self.said.add(line)
            say(f"the Hub does not answer as it should: {line}")


def _of_status(status: int, error: BaseException, repo_id: str) -> Failure:
    response = error.response  # type: ignore[attr-defined]
    said = " ".join(str(getattr(error, "server_message", None) or "").split())[:300]
    owner = repo_id.partition("/")[0]
    if response.request.method == "PUT":
        # A link to the storage, which holds for a while: the next try is given a new one.
        return Failure(f"the Hub's storage does not take a file ({status})", passing=True, wait=_retry_after(response))
    if status in (402, 413) or (status == 403 and any(word in said.lower() for word in _QUOTA)):
        return _refused(said or f"status {status}")
    if status == 401 and response.headers.get("X-Error-Code") != "RepoNotFound":
        return Failure("the Hub does not know the token (401)", wrong=True, advice=NEW_TOKEN)
    if status == 403:
        return Failure(f"the token has no right to write to {owner} (403)", wrong=True, advice=NEW_TOKEN)
    if status in (401, 404):
        return Failure(f"the Hub finds no model {repo_id}, or the token may not see it ({status})", wrong=True)
    if status in PASSING or status >= 500:
        what = PASSING.get(status, "has a fault of its own")
        wait = _retry_after(response)
        asks = f", and asks to wait {wait:,.0f} s" if wait else ""
        return Failure(f"the Hub {what} ({status}{asks})", passing=True, wait=wait)
    return Failure(f"the Hub refuses the request ({status}{': ' + said if said else ''})")


def _refused(said: str) -> Failure:
    return Failure(f"the Hub has no room for it ({said})", advice="make room, or ask for more storage")


def _of_transport(error: BaseException) -> str:
    """What became of a request without an answer. The exception's own words may quote an address: they are not used."""
    name = type(error).__name__
    if "ConnectTimeout" in name or "ConnectError" in name:
        return "cannot be reached"
    return "does not answer in time" if "Timeout" in name else "closed the connection in the middle"


def _retry_after(response: object) -> float:
    """Seconds that the Hub asks to wait; 0 where it does not say."""
    value = getattr(response, "headers", {}).get("Retry-After", "")
    return float(value) if str(value).isdigit() else 0.0


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__
