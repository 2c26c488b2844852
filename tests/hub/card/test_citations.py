"""What a card cites."""

import re

import pytest
from support.made_run import DIGITS, make_run

from hf_cifar.hub.card.citations import REFERENCES, citations
from hf_cifar.hub.card.data import CardData

VIT = {"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16}


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({}, ["kumar2022finetuning", "he2016deep", "krizhevsky2009learning", "guo2017calibration"]),
        ({"stages": ("finetune",), "calibrated": False}, ["he2016deep", "krizhevsky2009learning"]),
        (
            {"stages": ("finetune",), "model_config": VIT, "dataset_id": "me/x", "calibrated": False},
            ["dosovitskiy2021image"],
        ),
        ({"stages": ("finetune",), "dataset_id": DIGITS, "calibrated": False}, ["he2016deep", "alpaydin1998optical"]),
    ],
)
def test_entries_are_cited_where_they_were_used(tmp_path, given, keys):
    stage = given.get("stages", ("finetune",))[-1]
    text = citations(CardData.read(make_run(tmp_path / "run", **given) / stage))
    assert re.findall(r"^@\w+{(\w+),", text, flags=re.M) == keys


def test_every_entry_is_closed():
    text = REFERENCES.read_text()
    assert text.count("{") == text.count("}")
    assert text.count("@") == 6
