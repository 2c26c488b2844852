"""What is refused, and what goes on from the cache, where the network does not answer."""

import os

import pytest

from hf_cifar.errors import InputError
from hf_cifar.run.request import Request
from hf_cifar.run.resolve import request_for
from hf_cifar.stages import preflight
from hf_cifar.utils import network as connection

DATASET_WAYS = ("--dataset DIR", "--recipe demo")
BOTH_WAYS = (*DATASET_WAYS, "--weights FILE")
MODEL_WAYS = ("--weights FILE", "--model resnet18-mini")


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    monkeypatch.setattr(connection, "reachable", lambda url: False)
    monkeypatch.setattr(preflight, "reachable", lambda url: False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path


def config(stage="probe", **values) -> Request:
    return request_for(stage, values)


def test_cached_dataset_and_weights_are_used_offline(no_network):
    (no_network / "hf" / "datasets" / "uoft-cs___cifar10").mkdir(parents=True)
    weights = no_network / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    preflight.check(config())
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("values", "what", "ways"),
    [
        ({"dataset": "user/flowers", "weights": "none"}, "dataset user/flowers is not cached", DATASET_WAYS),
        ({"dataset": "user/flowers"}, "dataset user/flowers is not cached", BOTH_WAYS),
        ({"dataset": "digits", "model": "user/net"}, "model user/net is not cached", MODEL_WAYS),
        ({"dataset": "digits", "weights": "user/net"}, "model user/net is not cached", MODEL_WAYS),
        ({"dataset": "digits", "weights": "user/net@v2"}, "model user/net@v2 is not cached", MODEL_WAYS),
        (
            {"dataset": "digits", "model": "vit-base"},
            "google/vit-base-patch16-224-in21k is not cached",
            MODEL_WAYS,
        ),
        (
            {"dataset": "digits", "stage": "finetune", "from_": "user/net@v2"},
            "model user/net@v2 is not cached",
            MODEL_WAYS,
        ),
        ({"dataset": "digits"}, "IMAGENET1K_V1 weights of resnet18 are not cached", MODEL_WAYS),
    ],
)
def test_what_is_out_of_reach_is_named_with_the_ways_out(no_network, values, what, ways):
    with pytest.raises(InputError, match=what) as caught:
        preflight.check(config(**values))
    known = {*DATASET_WAYS, *MODEL_WAYS}
    assert {way for way in known if way in str(caught.value)} == set(ways), "for what is missing, and nothing else"


@pytest.mark.parametrize("revision", ["v2", "refs/pr/1", "c" * 40])
def test_of_a_model_the_revision_that_is_asked_for_must_be_cached(no_network, revision):
    cached = no_network / "hf" / "hub" / "models--user--net"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("a" * 40)
    preflight.check(config(dataset="digits", model="user/net"))
    with pytest.raises(InputError, match=f"model user/net@{revision} is not cached"):
        preflight.check(config(dataset="digits", model=f"user/net@{revision}"))
    if revision == "c" * 40:
        (cached / "snapshots" / revision).mkdir(parents=True)
    else:
        (cached / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
        (cached / "refs" / revision).write_text("b" * 40)
    preflight.check(config(dataset="digits", model=f"user/net@{revision}"))


def test_a_revision_of_a_dataset_has_a_flag_of_its_own(no_network):
    with pytest.raises(InputError, match="use --dataset user/flowers --dataset-revision v2"):
        preflight.check(config(dataset="user/flowers@v2", weights="none"))


def test_local_work_asks_nothing_of_the_network(monkeypatch, image_folder, tiny_model):
    asked = []
    monkeypatch.setattr(connection, "reachable", lambda url: asked.append(url) or True)
    monkeypatch.setattr(preflight, "reachable", lambda url: asked.append(url) or True)
    preflight.check(config(dataset=str(image_folder), model=str(tiny_model)))
    preflight.check(config(recipe="demo"))
    preflight.check(config(dataset="digits", weights="none"))
    assert asked == []


def test_an_unreachable_server_is_found_out_without_waiting():
    assert not connection.reachable("http://127.0.0.1:9")


def test_hub_ids():
    for name in ("google/vit-base-patch16-224", "a/b@main", "a/b@refs/pr/1", "a/b@v1.0", f"a/b@{'c' * 40}"):
        assert connection.is_hub_id(name), name
    names = ("cifar10", "a/b/c", "./a", "../shared", "/tmp/x", "a/b@", "a@v1", "a/b@v 1", "a/b@/x")
    assert not any(connection.is_hub_id(name) for name in names)
    assert connection.split_revision("a/b@refs/pr/1") == ("a/b", "refs/pr/1")
    assert connection.split_revision("a/b") == ("a/b", None)


@pytest.mark.parametrize("stage", ["evaluate", "predict"])
def test_a_checkpoint_out_of_reach_is_named_with_its_own_way_out(no_network, stage):
    with pytest.raises(InputError, match=r"model user/net is not cached: use a saved folder \(--checkpoint DIR\)"):
        dataset = {"dataset": "digits"} if stage == "evaluate" else {}
        preflight.check(config(stage=stage, checkpoint="user/net", **dataset))


def test_what_a_stage_does_not_use_is_not_looked_for(no_network, tmp_path):
    """Neither the default dataset nor the default weights are cached, and neither is needed."""
    (tmp_path / "config.json").write_text("{}")
    preflight.check(config(stage="predict", checkpoint=str(tmp_path), images=["x.png"]))
    preflight.check(config(stage="compare", runs=["a", "b"]))
    preflight.check(config(stage="evaluate", checkpoint=str(tmp_path), dataset="digits"))
    with pytest.raises(InputError, match="dataset uoft-cs/cifar10 is not cached"):
        preflight.check(config(stage="evaluate", checkpoint=str(tmp_path)))


def test_an_address_of_features_that_nothing_opens_or_that_does_not_answer_is_refused(image_folder, monkeypatch):
    local = {"dataset": str(image_folder), "weights": "none"}
    with pytest.raises(InputError, match=r"^--feature-cache nowhere://x cannot be opened"):
        preflight.check(config(feature_cache="nowhere://x", **local))

    def silent(*args, **kwargs):
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.exists", silent)
    with pytest.raises(InputError, match=r"^--feature-cache memory://x does not answer \(ConnectionRefusedError"):
        preflight.check(config(feature_cache="memory://x", **local))
