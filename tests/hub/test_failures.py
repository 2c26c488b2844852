"""Failures of the Hub's client in words, and which of them are retried."""

import json
from importlib import import_module

import pytest
from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

from hf_cifar.errors import HubError, InputError
from hf_cifar.hub import failures
from hf_cifar.hub.failures import explain, retried

# The client's own HTTP library, whose name depends on its version.
httpx = import_module(HTTPError.__module__.partition(".")[0])


def answered(status: int, method: str = "POST", message: str = "", **headers: str) -> HfHubHTTPError:
    response = httpx.Response(status, headers=headers, request=httpx.Request(method, "https://huggingface.co/api/x"))
    return HfHubHTTPError("failed", response=response, server_message=message)


@pytest.mark.parametrize(
    ("error", "reason", "is_input_error", "is_temporary"),
    [
        (answered(401), "does not accept the token (401)", True, False),
        (answered(403), "the token cannot write to me (403)", True, False),
        (
            answered(403, message="Storage limit reached"),
            "quota does not suffice (Storage limit reached)",
            False,
            False,
        ),
        (answered(404), "no model me/x on the Hub", True, False),
        (answered(412), "has a newer commit (412)", False, True),
        (answered(413), "quota does not suffice", False, False),
        (answered(500), "has a server error (500)", False, True),
        (answered(400, message="odd"), "refused the request (400: odd)", False, False),
        (answered(403, "PUT"), "storage rejected a file (403)", False, True),
        (httpx.ConnectError("x"), "cannot be reached", False, True),
        (httpx.ReadTimeout("x"), "did not respond in time", False, True),
        (httpx.RemoteProtocolError("x"), "closed the connection", False, True),
        (ConnectionResetError(), "the connection to the Hub was lost", False, True),
        (json.JSONDecodeError("x", "", 0), "sent an invalid response", False, True),
        (OfflineModeIsEnabled("x"), "HF_HUB_OFFLINE is set", True, False),
    ],
)
def test_what_an_exception_means(error, reason, is_input_error, is_temporary):
    failure = explain(error, "me/x")
    assert reason in failure.reason
    assert (failure.is_input_error, failure.is_temporary) == (is_input_error, is_temporary)
    assert isinstance(failure.error(), InputError if is_input_error else HubError)


def test_the_cause_is_explained_and_anything_else_is_not():
    error = RuntimeError("outer")
    error.__cause__ = answered(429, **{"Retry-After": "7"})
    assert explain(error, "me/x").wait == 7
    assert explain(RuntimeError("of another making"), "me/x") is None


@pytest.fixture
def waits(monkeypatch):
    seconds: list[float] = []
    monkeypatch.setattr(failures.time, "sleep", seconds.append)
    return seconds


def attempts(*errors: Exception):
    """A function that raises one error after the other, and then returns."""
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def test_what_may_pass_is_retried(waits):
    assert retried(attempts(answered(500), httpx.ReadTimeout("x")), "me/x") == "done"
    assert waits == [1.0, 3.0]


def test_the_hub_says_how_long_to_wait_and_too_long_is_not_waited(waits):
    assert retried(attempts(answered(429, **{"Retry-After": "7"})), "me/x") == "done"
    assert waits == [7.0]
    with pytest.raises(HubError, match="retry after 3,000 s"):
        retried(attempts(answered(429, **{"Retry-After": "3000"})), "me/x")


def test_what_does_not_pass_ends_at_once_and_for_ever_is_not_waited(waits):
    with pytest.raises(InputError, match="does not accept the token"):
        retried(attempts(answered(401)), "me/x")
    assert waits == []
    with pytest.raises(HubError, match="server error"):
        retried(attempts(*[answered(500)] * 99), "me/x")
    assert sum(waits) <= failures.RETRY_SECONDS
    with pytest.raises(ZeroDivisionError):
        retried(attempts(ZeroDivisionError()), "me/x")
