"""What a model that nobody here knows is taken for, what is said of it, and what is refused."""

import copy
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import transformers
from PIL import Image
from support.families import FAMILIES, LABELS
from support.models import build, processor
from support.random_state import spy_on_accelerators
from torch import nn
from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedConfig, PreTrainedModel, pipeline
from transformers.modeling_outputs import ImageClassifierOutput

from hf_cifar.config.options.model import ModelConfig
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import head, head_names, layer_groups
from hf_cifar.models.processors import fit_processor, own_statistics
from hf_cifar.run.resolve import request_for
from hf_cifar.stages.train import run_training
from hf_cifar.training.freezing import freeze
from hf_cifar.training.probe.heads import HeadGrid, OnlineProbe

pytestmark = pytest.mark.usefixtures("no_pictures")


class StrangeConfig(PreTrainedConfig):
    """Of a network of no known family; `kind` says what is strange about it."""

    model_type = "strange"

    def __init__(self, kind: str = "plain", **kwargs):
        self.kind = kind
        super().__init__(**kwargs)


class StrangeForImageClassification(PreTrainedModel):
    """Three blocks on the colours of an image, and a classifier where nobody looks for it."""

    config_class = StrangeConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.stem = nn.Linear(3, 6)
        self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.answer = nn.ModuleDict({"out": nn.Linear(6, config.num_labels, bias=config.kind != "without bias")})
        self.post_init()

    def forward(self, pixel_values):
        kind = self.config.kind
        features = self.stem(pixel_values.flatten(2).transpose(1, 2))
        if kind != "tokens":
            features = features.mean(1)
        for block in list(self.blocks)[:: -1 if kind == "backwards" else 1]:
            features = features + block(features).relu()
        logits = self.answer["out"](features)
        if kind == "scaled":
            logits = 3 * logits
        if kind == "tokens":
            logits = logits.mean(1)
        return ImageClassifierOutput(logits=logits)


AutoConfig.register("strange", StrangeConfig)
AutoModelForImageClassification.register(StrangeConfig, StrangeForImageClassification)


@pytest.fixture
def strange(tmp_path):
    """`strange(kind)`: a saved folder of such a network."""

    def save(kind: str):
        torch.manual_seed(0)
        model = StrangeForImageClassification(StrangeConfig(kind, id2label=LABELS))
        nn.init.normal_(model.answer["out"].weight)
        model.save_pretrained(tmp_path / kind)
        processor(8).save_pretrained(tmp_path / kind)
        return tmp_path / kind

    return save


def build_folder(folder, **values):
    return build(ModelConfig(model=str(folder), **values), ["blue", "green", "red"], seed=0)


def test_of_an_unknown_family_the_last_linear_layer_is_the_head_and_that_is_said(strange):
    built = build_folder(strange("plain"))
    assert head_names(built.model) == ["answer.out"]
    assert built.probe_fault is None
    assert built.remarks == (
        "unknown family StrangeForImageClassification: its last linear layer, answer.out, is taken as the head",
    )
    assert [group.name for group in layer_groups(built.model)] == ["stem", "blocks.0", "blocks.1", "blocks.2", "head"]


def test_layers_that_run_in_another_order_are_one_group(strange, configure, capsys):
    built = build_folder(strange("backwards"))
    assert [group.layers for group in layer_groups(built.model)] == [
        ["stem", "blocks.0", "blocks.1", "blocks.2"],
        ["answer.out"],
    ]
    result = run_training(configure(model=str(strange("backwards")), stage="finetune", num_train_epochs=1))
    rows = (result.output_dir / "finetune" / "parameter_groups.csv").read_text().splitlines()
    assert len(rows) == 3, "the order that was found must hold in every part of the run"
    said = capsys.readouterr().err
    assert said.count("the layers of StrangeForImageClassification do not run in the order of their names") == 1
    assert said.count("the backbone of StrangeForImageClassification is one layer group") == 1


@pytest.mark.parametrize(("kind", "reason"), [
    ("scaled", "the logits of StrangeForImageClassification are not its linear classifier's"),
    ("tokens", "gets inputs of shapes .*, not one row of features for each image"),
    ("without bias", "the classifier of StrangeForImageClassification has no bias"),
])  # fmt: skip
def test_what_cannot_be_probed_is_refused_and_fine_tuned(kind, reason, strange, configure, image_folder):
    model = str(strange(kind))
    for stage in ("probe", "lpft"):
        with pytest.raises(InputError, match=f"{reason}.*: it cannot be probed; use --stage finetune"):
            run_training(configure(model=model, stage=stage))
    result = run_training(configure(model=model, stage="finetune", num_train_epochs=1))
    scores = pq.read_table(result.output_dir / "finetune" / "predictions.parquet").to_pydict()["probabilities"]
    classify = pipeline("image-classification", model=str(result.model_dir))
    for path, expected in zip(sorted((image_folder / "test").rglob("*.png")), scores, strict=True):
        answer = {item["label"]: item["score"] for item in classify(str(path))}
        assert [answer[name] for name in ("blue", "green", "red")] == pytest.approx(expected, abs=1e-5)


def test_a_head_of_zeros_proves_nothing(strange):
    folder = strange("scaled")
    model = AutoModelForImageClassification.from_pretrained(folder)
    nn.init.zeros_(model.answer["out"].weight)
    nn.init.zeros_(model.answer["out"].bias)
    model.save_pretrained(folder)
    built = build(ModelConfig(model=str(folder)), list(LABELS.values()), seed=0)
    assert not head(built.model).weight.any() and built.probe_fault


def test_what_is_no_classifier_of_pixels_is_refused(tmp_path):
    torch.manual_seed(0)
    config = transformers.PPLCNetConfig(scale=0.1, class_expand=16)
    transformers.PPLCNetForImageClassification(config).save_pretrained(tmp_path / "without-logits")
    processor(32).save_pretrained(tmp_path / "without-logits")
    with pytest.raises(InputError, match=r"PPLCNetForImageClassification does not work .*and no logits"):
        build_folder(tmp_path / "without-logits")
    config = transformers.ImageGPTConfig(n_embd=8, n_layer=1, n_head=2, vocab_size=9, n_positions=16)
    transformers.ImageGPTForImageClassification(config).save_pretrained(tmp_path / "of-colours")
    clusters = np.random.default_rng(0).uniform(-1, 1, (8, 3)).tolist()
    colours = transformers.ImageGPTImageProcessor(clusters=clusters, size={"height": 4, "width": 4})
    colours.save_pretrained(tmp_path / "of-colours")
    with pytest.raises(InputError, match=r"ImageGPTImageProcessor.* turns an image into input_ids, not pixel_values"):
        build_folder(tmp_path / "of-colours")


def test_a_processor_that_does_not_fit_its_model_is_refused(tmp_path):
    FAMILIES["vit"].save(tmp_path)
    processor(40).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"ViTForImageClassification does not work on images of 40 x 40 pixels"):
        build_folder(tmp_path)


@pytest.mark.parametrize("model", ["resnet18", "folder"])
def test_building_a_model_touches_no_generator_of_an_accelerator(model, tiny_model, monkeypatch):
    touched = spy_on_accelerators(monkeypatch)
    build(ModelConfig(model=str(tiny_model) if model == "folder" else model, weights="none"), ["a", "b"], seed=3)
    assert not touched


def test_trying_a_model_leaves_it_and_the_generator_as_they_were(tmp_path):
    original = FAMILIES["levit"].save(tmp_path).state_dict()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    model = build(ModelConfig(model=str(tmp_path)), list(LABELS.values()), 0).model
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(tensor, original[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not any(getattr(module, "attention_bias_cache", None) for module in model.modules())


@pytest.mark.parametrize("family", ["vit", "swin", "convnext", "beit", "timm-vit", "timm-convnext", "mobilenet-v2"])
def test_dropout_and_stochastic_depth_are_off_in_a_frozen_backbone(family):
    """Whatever calls `train()`: features of an online probe are those of eval mode."""
    changes = {"drop_path_rate": 0.5, "hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}
    if family.startswith("timm"):
        given = {"drop_path_rate": 0.5} | ({"proj_drop_rate": 0.5} if family == "timm-vit" else {"drop_rate": 0.5})
        changes = {"model_args": {**FAMILIES[family].config["model_args"], **given}}
    if family == "mobilenet-v2":
        changes = {"classifier_dropout_prob": 0.5}
    model = FAMILIES[family].make(**changes)
    size, width = FAMILIES[family].size, head(model).in_features
    grid = HeadGrid(width, 3, 1)
    nn.init.normal_(grid.heads[0].weight)
    images = torch.randn(4, 3, size, size)
    expected = OnlineProbe(model, grid).eval()(images)["logits"]
    moving = OnlineProbe(copy.deepcopy(model), grid).train()
    assert not torch.equal(moving(images)["logits"], expected), "nothing is random here"
    freeze(model)
    torch.testing.assert_close(OnlineProbe(model, grid).train()(images)["logits"], expected, rtol=0, atol=0)


def test_dropout_that_leaves_hardly_anything_is_named(tmp_path):
    FAMILIES["mobilenet-v1"].save(tmp_path, classifier_dropout_prob=0.999)
    assert "has a dropout of 0.999" in build_folder(tmp_path).remarks[0]


class TestTimm:
    """Its processor is a part of the model's configuration, and works otherwise than the others."""

    def test_tensors_are_what_the_processor_makes_of_each_image_alone(self):
        images = FAMILIES["timm-resnet"].make_processor()
        rng = np.random.default_rng(0)
        sides = [(32, 32), (37, 91), (120, 64), (8, 8), (3, 3), (50, 3)]
        pictures = [Image.fromarray(rng.integers(0, 256, (*side, 3), dtype=np.uint8)) for side in sides]
        ours = Transform(images)(pictures, range(len(pictures)))
        for picture, tensor in zip(pictures, ours, strict=True):
            torch.testing.assert_close(tensor, images(picture)["pixel_values"][0], rtol=0, atol=0)

    def test_size_and_statistics_are_fitted_saved_and_used(self, tmp_path, configure, image_folder):
        FAMILIES["timm-vit"].save(tmp_path / "published")
        values = {"model": str(tmp_path / "published"), "image_size": 48, "normalization": "dataset"}
        result = run_training(configure(**values, stage="lpft", num_train_epochs=1))
        saved = json.loads((result.model_dir / "config.json").read_text())
        assert saved["pretrained_cfg"]["input_size"] == [3, 48, 48] and saved["model_args"]["img_size"] == 48
        assert saved["pretrained_cfg"]["mean"] != FAMILIES["timm-vit"].timm["mean"]
        assert saved["label_names"] == ["blue", "green", "red"] and saved["num_classes"] == 3
        assert saved["id2label"] == {"0": "blue", "1": "green", "2": "red"}
        assert saved["pretrained_cfg"]["crop_pct"] == 0.9
        scores = pq.read_table(result.output_dir / "finetune" / "predictions.parquet").to_pydict()["probabilities"]
        classify = pipeline("image-classification", model=str(result.model_dir))
        assert classify.image_processor.data_config["input_size"] == (3, 48, 48)
        for path, expected in zip(sorted((image_folder / "test").rglob("*.png")), scores, strict=True):
            answer = {item["label"]: item["score"] for item in classify(str(path))}
            assert [answer[name] for name in ("blue", "green", "red")] == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize(("family", "recipe"), [("timm-vit", "vit"), ("timm-resnet", "resnet"), ("pvt", "vit")])
    def test_the_recipe_follows_the_network(self, family, recipe, tmp_path):
        FAMILIES[family].save(tmp_path)
        assert request_for("probe", {"model": str(tmp_path)}).config.recipe == recipe

    def test_fitting_changes_only_what_was_asked_for(self):
        before = FAMILIES["timm-vit"].make_processor()
        after = fit_processor(before, 48, ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]))
        changed = {"input_size": (3, 48, 48), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
        assert after.data_config == {**before.data_config, **changed}
        assert own_statistics(after) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])


def test_a_processor_without_normalisation_takes_no_statistics():
    with pytest.raises(InputError, match="MobileViTImageProcessor does not normalise"):
        fit_processor(FAMILIES["mobilevit"].make_processor(), None, ([0.5] * 3, [0.5] * 3))
