"""The loopback Hub, and the command line in an environment that knows no other one."""

import pytest

from hub.server import LoopbackHub

TOKEN = "hf_" + "aliceAliceALICE" * 2


@pytest.fixture(scope="session")
def server():
    hub = LoopbackHub()
    yield hub
    hub.stop()


@pytest.fixture
def hub(server):
    """An empty Hub where `TOKEN` is alice's, who writes as alice and for the organisation flowers."""
    server.reset()
    server.account(TOKEN, "alice", "flowers")
    return server
