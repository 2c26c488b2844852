import pytest

from hf_cifar.data.label_names import match_labels, plain
from hf_cifar.errors import InputError


def test_names_match_whatever_their_case_spaces_and_order():
    assert match_labels(["Sea lion", "cat"], ["cat", "dog", "sea_lion"]).tolist() == [2, 0]


def test_an_exact_name_wins_over_a_similar_one():
    assert match_labels(["Cat"], ["cat", "Cat"]).tolist() == [1]


@pytest.mark.parametrize(("dataset", "model", "message"), [
    (["dgo"], ["cat", "dog"], "the model has no class named 'dgo', which the dataset has: did you mean 'dog'"),
    (["CAT"], ["cat", "Cat"], "the model has several classes named 'CAT'"),
    (["cat", "Cat"], ["cat"], "two classes of the dataset match the same class of the model"),
])  # fmt: skip
def test_what_does_not_match_once_is_refused(dataset, model, message):
    with pytest.raises(InputError, match=message):
        match_labels(dataset, model)


def test_a_name_of_punctuation_alone_stays():
    assert (plain("Sea-Lion_2"), plain("?!")) == ("sealion2", "?!")
