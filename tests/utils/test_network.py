import socket
import subprocess
import sys

import pytest

from hf_cifar.utils import network


@pytest.fixture
def direct(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    network.reachable.cache_clear()
    yield monkeypatch
    network.reachable.cache_clear()


def test_a_server_that_listens_is_reachable_and_one_that_does_not_is_not(direct):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert network.reachable(url)
        direct.setenv("HF_ENDPOINT", url)
        assert network.hub_endpoint() == url and network.hub_reachable()
        direct.setenv("HF_HUB_OFFLINE", "1")
        assert not network.hub_reachable()
    network.reachable.cache_clear()
    assert not network.reachable(url)


def test_a_proxy_is_what_must_be_reached(direct):
    with socket.create_server(("127.0.0.1", 0)) as server:
        direct.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert network.reachable("https://nowhere.invalid")


@pytest.mark.parametrize(("name", "expected"), [
    ("google/vit-base", True),
    ("google/vit-base@refs/pr/3", True),
    ("vit-base", False),
    ("../vit-base", False),
    ("a/b/c", False),
    ("/home/me", False),
])  # fmt: skip
def test_hub_ids(name, expected):
    assert network.is_hub_id(name) is expected


def test_revisions():
    assert network.split_revision("a/b@v1.0") == ("a/b", "v1.0")
    assert network.split_revision("a/b") == ("a/b", None)


def test_what_the_caches_hold(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    (tmp_path / "hub" / "models--a--b" / "refs").mkdir(parents=True)
    (tmp_path / "hub" / "models--a--b" / "refs" / "v1").touch()
    (tmp_path / "hub" / "models--a--b" / "snapshots" / "0abc").mkdir(parents=True)
    (tmp_path / "datasets" / "c___d").mkdir(parents=True)
    assert network.hub_cached("model", "a/b") and not network.hub_cached("dataset", "a/b")
    assert [network.hub_cached("model", "a/b", revision) for revision in ("v1", "0abc", "v2")] == [True, True, False]
    assert network.hub_cached("dataset", "c/d")


@pytest.mark.parametrize("imported", ["", "import huggingface_hub.constants, datasets.config; "])
def test_going_offline_reaches_libraries_imported_before_and_after(imported, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    code = (
        f"{imported}from hf_cifar.utils.network import go_offline; go_offline();"
        "import huggingface_hub.constants as hub, datasets.config as data;"
        "assert hub.HF_HUB_OFFLINE and data.HF_HUB_OFFLINE"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
