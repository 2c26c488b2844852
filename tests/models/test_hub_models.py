"""Models of the Hub, as its cache holds them: nothing here asks the network."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file
from support.families import FAMILIES, SIZE, VIT
from support.made_up_stage import made_up, metrics_of, split_metrics_of
from support.models import build, processor
from transformers import ViTConfig, ViTForImageClassification, ViTModel, pipeline

from hf_cifar.config.locate import locate_checkpoint, locate_model, locate_start, locate_weights
from hf_cifar.config.options.model import ModelConfig
from hf_cifar.config.run_config import nested
from hf_cifar.errors import InputError
from hf_cifar.models.base_model import base_model_of
from hf_cifar.models.native import save, to_native
from hf_cifar.models.processors import fit_processor
from hf_cifar.run.resolve import request_for, resolve
from hf_cifar.run.wording import describe_weights
from hf_cifar.stages.train import run_training
from hf_cifar.training.finetune.starting_point import find_start

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
IN21K = "google/vit-base-patch16-224-in21k"
COMMITS = {"main": "a" * 40, "v2": "b" * 40}


@pytest.fixture
def publish():
    """`publish(name, folder, branch)`: the folder is what the cache holds of a branch of a repository."""
    made = []

    def to_cache(name: str, folder: Path, branch: str = "main") -> None:
        repository = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
        made.append(repository)
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / branch).write_text(COMMITS[branch])
        shutil.copytree(folder, repository / "snapshots" / COMMITS[branch])

    yield to_cache
    for repository in made:
        shutil.rmtree(repository, ignore_errors=True)


def model_config(**values):
    return ModelConfig(**values)


def in21k(folder: Path, seed: int = 0, **changes) -> ViTModel:
    """A ViT as its publishers saved it: a base model with a pooler, without labels or a classifier."""
    torch.manual_seed(seed)
    model = ViTModel(ViTConfig(**{**VIT, **changes}))
    model.save_pretrained(folder)
    processor(SIZE).save_pretrained(folder)
    return model


def test_vit_base_is_loaded_whole_and_its_pooler_left_out(publish, tmp_path):
    original = in21k(tmp_path)
    publish(IN21K, tmp_path)
    assert {"pooler.dense.weight", "encoder.layer.0.attention.attention.query.weight"} <= set(
        load_file(tmp_path / "model.safetensors")
    )
    built = build(model_config(model="vit-base"), CIFAR10, seed=0)
    assert type(built.model) is ViTForImageClassification
    state = original.state_dict()
    ours = built.model.vit.state_dict()
    assert ours and all(torch.equal(tensor, state[name]) for name, tensor in ours.items())
    assert built.model.classifier.out_features == 10 and built.model.config.id2label[3] == "cat"
    assert (describe_weights(built.origin), built.base_model) == (IN21K, IN21K)
    assert built.probe_fault is None and built.remarks == ()


def test_vit_base_at_another_size_and_through_both_stages(publish, tmp_path, image_folder):
    in21k(tmp_path / "published")
    publish(IN21K, tmp_path / "published")
    values = {"stage": "lpft", "model": "vit-base", "dataset": str(image_folder), "output_dir": str(tmp_path / "run")}
    values |= {"image_size": 48, "feature_cache": str(tmp_path / "cache"), "num_train_epochs": 1}
    values |= {"layer_decay": 0.5, "unfreeze": "gradual"}
    result = run_training(resolve(nested(values), {"probe": {"training": {"num_train_epochs": 2}}}))
    for stage in (result.before, result):
        assert stage.metrics.base_model == stage.metrics.model == IN21K
        assert json.loads((stage.model_dir / "config.json").read_text())["image_size"] == 48
    rates = (result.output_dir / "finetune" / "parameter_groups.csv").read_text().splitlines()[1:]
    assert [float(row.split(",")[3]) for row in rates] == pytest.approx([3e-5 * 0.5**n for n in (3, 2, 1, 0)])


@pytest.mark.parametrize("revision", ["v2", COMMITS["v2"]])
def test_a_revision_is_loaded_named_and_left_out_of_the_base_model(revision, publish, tmp_path):
    main, other = in21k(tmp_path / "1", seed=1), in21k(tmp_path / "2", seed=2)
    publish("user/vit", tmp_path / "1")
    publish("user/vit", tmp_path / "2", "v2")
    plain = build(model_config(model="user/vit"), CIFAR10, 0)
    built = build(model_config(model=f"user/vit@{revision}"), CIFAR10, 0)
    for found, expected in ((plain, main), (built, other)):
        assert torch.equal(found.model.vit.embeddings.cls_token, expected.embeddings.cls_token)
    assert (describe_weights(built.origin), built.base_model) == (f"user/vit@{revision}", "user/vit")
    with pytest.raises(InputError, match="--model user/vit@v3 cannot be loaded"):
        build(model_config(model="user/vit@v3"), CIFAR10, 0)


def test_weights_of_a_revision_go_into_torchvisions_network(publish, tmp_path):
    native = to_native(build(model_config(model="resnet18", weights="none"), ["a", "b"], 5).model)
    native.save_pretrained(tmp_path)
    processor(SIZE).save_pretrained(tmp_path)
    publish("user/resnet", tmp_path, "v2")
    built = build(model_config(model="resnet18", weights="user/resnet@v2"), ["a", "b", "c"], 0)
    assert torch.equal(built.model.network.conv1.weight, native.resnet.embedder.embedder.convolution.weight)
    assert (describe_weights(built.origin), built.base_model) == ("user/resnet@v2", "user/resnet")


def test_a_fine_tuned_vit_goes_on_with_its_own_head_only_for_its_own_labels(publish, tmp_path):
    """As `nateraw/vit-base-patch16-224-cifar10` was published."""
    names = dict(enumerate(CIFAR10))
    original = FAMILIES["vit"].save(tmp_path, labels=names)
    publish("nateraw/vit-base-patch16-224-cifar10", tmp_path, "v2")
    options = {"from_": "nateraw/vit-base-patch16-224-cifar10@v2", "output_dir": str(tmp_path), "dataset": "digits"}
    request = request_for("finetune", options)
    start = find_start(request, CIFAR10)
    assert start.trained_head and torch.equal(start.model.classifier.weight, original.classifier.weight)
    assert describe_weights(start.weights) == "nateraw/vit-base-patch16-224-cifar10@v2"
    assert start.base_model == "nateraw/vit-base-patch16-224-cifar10"
    other = find_start(request, CIFAR10[::-1])
    assert not other.trained_head and not torch.equal(other.model.classifier.weight, original.classifier.weight)


@pytest.mark.parametrize(("change", "message"), [
    (lambda state: state.pop("layernorm.weight"), r"1 tensors .*vit\.layernorm\.weight"),
    (lambda state: state.update({"encoder.layer.2.output.dense.bias": torch.zeros(8)}), r"1 tensors .*layers?\.2\."),
    (lambda state: state.update({"encoder.layer.1.extra.weight": torch.zeros(8)}), r"1 tensors .*\.1\.extra\.weight"),
    (lambda state: state.update({"layernorm.weight": torch.zeros(9)}), r"1 tensors .*vit\.layernorm\.weight"),
    (lambda state: state.update({"embeddings.mask_token": torch.zeros(1, 1, 8)}), None),
    (lambda state: state.update({"decoder.0.weight": torch.zeros(8)}), None),
    (lambda state: state.pop("pooler.dense.bias"), None),
])  # fmt: skip
def test_what_a_checkpoint_lacks_or_has_too_much(change, message, tmp_path):
    """A lost layer is refused, as is one that the network has no place for; parts for other tasks are left out."""
    in21k(tmp_path)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    change(state)
    save_file(state, file, metadata={"format": "pt"})
    if message is None:
        build(model_config(model=str(tmp_path)), CIFAR10, 0)
    else:
        with pytest.raises(InputError, match=message):
            build(model_config(model=str(tmp_path)), CIFAR10, 0)


def test_a_model_of_timm_that_was_saved_here_opens_from_the_hub(publish, tmp_path):
    FAMILIES["timm-vit"].save(tmp_path / "published")
    built = build(model_config(model=str(tmp_path / "published")), ["a", "b", "c"], 0)
    save(built.model, fit_processor(built.processor, None, ([0.1] * 3, [0.3] * 3)), tmp_path / "model")
    publish("user/timm-vit", tmp_path / "model")
    classify = pipeline("image-classification", model="user/timm-vit")
    assert classify.image_processor.data_config["mean"] == (0.1, 0.1, 0.1)
    picture = Image.effect_noise((40, 30), 80).convert("RGB")
    pixels = classify.image_processor(picture)["pixel_values"]
    expected = built.model.eval()(pixels).logits.softmax(1)[0].tolist()
    answer = {item["label"]: item["score"] for item in classify(picture)}
    assert [answer[name] for name in "abc"] == pytest.approx(expected, abs=1e-6)


def test_locations():
    assert locate_model("vit-base") == locate_model(IN21K)
    for locate in (locate_model, locate_start, locate_checkpoint, locate_weights):
        found = locate("user/net@refs/pr/1")
        assert (found.kind, found.name, found.revision) == ("hub", "user/net", "refs/pr/1")
        assert found.full_name == "user/net@refs/pr/1"
        assert locate("user/net").revision is None and locate("user/net").full_name == "user/net"
    with pytest.raises(InputError, match="--checkpoint nowhere: no such folder"):
        locate_checkpoint("nowhere")
    with pytest.raises(InputError, match="--from nowhere: no such folder"):
        locate_start("nowhere")


def test_checkpoint_is_a_run_a_stage_or_a_model(tmp_path):
    for stage in ("probe", "finetune"):
        (tmp_path / "run" / stage / "model").mkdir(parents=True)
        (tmp_path / "run" / stage / "model" / "config.json").write_text("{}")
    model = tmp_path / "run" / "finetune" / "model"
    for name in (tmp_path / "run", tmp_path / "run" / "finetune", model):
        assert locate_checkpoint(str(name)).name == str(model)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"--checkpoint .*empty has no saved model"):
        locate_checkpoint(str(tmp_path / "empty"))


CARD = "---\nlicense: mit\nbase_model: {}\n---\n# A model\nbase_model: user/in-the-text\n"


@pytest.mark.parametrize(("card", "metrics", "expected"), [
    (None, None, None),
    (CARD.format("user/origin"), None, "user/origin"),
    (CARD.format("\n- user/origin"), None, "user/origin"),
    (CARD.format("\n- user/one\n- user/two"), None, None),
    (CARD.format("a folder of mine"), None, None),
    ("---\nbase_model: [\n---\n", None, None),
    ("# base_model: user/origin", None, None),
    ("# A model\n" + CARD.format("user/origin"), None, None),
    (CARD.format("user/origin"), {"base_model": "user/measured"}, "user/measured"),
    (CARD.format("user/origin"), {"base_model": None}, None),
    (CARD.format("user/origin"), {"of": "another program"}, "user/origin"),
])  # fmt: skip
def test_base_model_of_a_folder(card, metrics, expected, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    if card is not None:
        (folder / "README.md").write_text(card)
    if metrics is not None:
        logits, labels = made_up()
        ours = metrics_of("finetune", split_metrics_of(logits, labels, ["a", "b", "c", "d"])).to_dict()
        metrics = ours | metrics if "base_model" in metrics else metrics
        (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert base_model_of(locate_model(str(folder))) == expected


def test_base_model_of_torchvisions_weights(tmp_path):
    expected = {
        ("resnet18", "IMAGENET1K_V1"): "timm/resnet18.tv_in1k",
        ("resnet34", "IMAGENET1K_V1"): "timm/resnet34.tv_in1k",
        ("resnet50", "IMAGENET1K_V1"): "timm/resnet50.tv_in1k",
        ("resnet50", "IMAGENET1K_V2"): "timm/resnet50.tv2_in1k",
    }
    for (arch, weights), name in expected.items():
        assert base_model_of(locate_weights(weights), arch) == name
    (tmp_path / "w.pth").write_text("")
    assert base_model_of(locate_weights(str(tmp_path / "w.pth")), "resnet18") is None
    assert base_model_of(locate_weights("none"), "resnet18") is None
    assert build(replace(model_config(), weights="none"), ["a", "b"], 0).base_model is None
