"""Model folders that are not what they seem: refused in one line, whatever is wrong with them.

A new case is a function that changes a good folder, with `@case(...)` above it.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

INNER = "resnet.encoder.stages.1.layers.0.layer.0.convolution.weight"
CASES: dict[str, tuple[Callable[[Path], object], str]] = {}


def case(said: str = ""):
    def register(change):
        CASES[change.__name__.replace("_", " ")] = change, said
        return change

    return register


def command(marker: Path) -> bytes:
    """A pickle that makes a file when it is loaded."""
    return f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()


def set_config(folder: Path, **values) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def set_weights(folder: Path, change: Callable[[dict], object]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


for title, text in {
    "a list": "[]",
    "a number": "3",
    "null": "null",
    "nothing": "",
    "an empty object": "{}",
    "cut": '{"model_type": "res',
    "nested 5,000 deep": '{"a":' * 5000 + "1" + "}" * 5000,
    "a number for a type": '{"model_type": 5}',
    "an unknown type": '{"model_type": "no-such-model"}',
    "a language model": '{"model_type": "bert"}',
}.items():
    CASES[f"a configuration of {title}"] = lambda folder, text=text: (folder / "config.json").write_text(text), ""


@case()
def a_configuration_of_bytes(folder):
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")


@case()
def a_negative_width(folder):
    set_config(folder, hidden_sizes=[-8, 16])


@case()
def text_for_a_width(folder):
    set_config(folder, hidden_sizes="many")


@case()
def a_width_of_a_billion(folder):
    set_config(folder, hidden_sizes=[8, 10**9])


@case()
def weights_of_another_shape(folder):
    set_weights(folder, lambda state: state.update({INNER: state[INNER][:1].clone()}))


@case("embedder")
def weights_that_are_missing(folder):
    set_weights(folder, lambda state: state.pop("resnet.embedder.embedder.convolution.weight"))


@case("NaN or infinity")
def weights_of_nan(folder):
    set_weights(folder, lambda state: state["resnet.embedder.embedder.convolution.weight"].fill_(torch.nan))


@case("NaN or infinity")
def one_weight_of_infinity(folder):
    set_weights(folder, lambda state: state[INNER].view(-1)[:1].fill_(torch.inf))


@case("NaN or infinity")
def statistics_of_nan(folder):
    name = "resnet.embedder.embedder.normalization.running_var"
    set_weights(folder, lambda state: state[name].fill_(torch.nan))


@case()
def weights_that_are_cut(folder):
    os.truncate(folder / "model.safetensors", 500)


@case()
def weights_of_nothing(folder):
    (folder / "model.safetensors").write_bytes(b"")


@case()
def weights_whose_header_claims_an_exabyte(folder):
    (folder / "model.safetensors").write_bytes((10**18).to_bytes(8, "little") + b"{}")


@case()
def no_weights(folder):
    (folder / "model.safetensors").unlink()


@case()
def a_pickle_for_weights(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(command(folder.parent / "pwned"))


@case("image processor")
def no_processor(folder):
    (folder / "preprocessor_config.json").unlink()


@case("image processor")
def a_processor_of_a_list(folder):
    (folder / "preprocessor_config.json").write_text("[]")


@case()
def a_processor_of_an_unknown_type(folder):
    (folder / "preprocessor_config.json").write_text('{"image_processor_type": "NoSuchProcessor"}')


@case()
def labels_that_are_no_mapping(folder):
    set_config(folder, id2label=["a", "b"])


@pytest.mark.parametrize("name", CASES)
def test_a_model_is_refused_in_one_line(name, command_line, tiny_model, image_folder, tmp_path):
    change, said = CASES[name]
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    change(folder)
    flags = ["--stage", "finetune", "--dataset", image_folder, "--output-dir", tmp_path / "run", "--model", folder]
    assert command_line.run(*flags) == 2, command_line.err
    *before, line = command_line.err.strip().splitlines()
    assert all(text.startswith("data: ") for text in before), before
    assert line.startswith("error: ") and said in line and len(line) < 1_000
    assert not (tmp_path / "run").exists() and not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
def test_a_pickle_given_as_weights_does_not_run(suffix, command_line, image_folder, tmp_path):
    (tmp_path / f"x{suffix}").write_bytes(command(tmp_path / "pwned"))
    flags = ["--stage", "probe", "--dataset", image_folder, "--output-dir", tmp_path / "run", "--model", "resnet18"]
    assert command_line.run(*flags, "--weights", tmp_path / f"x{suffix}") == 2, command_line.err
    assert "cannot be read as weights" in command_line.err.splitlines()[-1]
    assert not (tmp_path / "pwned").exists()
