"""Which images leak, by hand."""

import pytest

from hf_cifar.audit.twin_list import EXACT_FILE, NEAR_FILE, TwinList
from hf_cifar.errors import InputError

A, B, C, D, E, F = (("train", 0), ("train", 1), ("test", 0), ("test", 1), ("test", 2), ("test", 3))
TRAIN, TEST = {A, B}, {C, D, E, F}


def test_identical_and_near_twins_are_told_apart():
    twins = TwinList(groups=[[A, C]], pairs=[(B, D)])
    leaks = twins.leaks(TEST, TRAIN)
    assert leaks.exact == {C} and leaks.near == {D} and leaks.rows == {C, D}


def test_the_first_of_a_group_stands_for_all_of_it_in_a_pair():
    twins = TwinList(groups=[[C, D]], pairs=[(A, C)])
    assert twins.leaks(TEST, TRAIN).near == {C, D}
    twins = TwinList(groups=[[C, A]], pairs=[(C, D)])  # D is like C, and C the same as A
    assert twins.leaks(TEST, TRAIN).exact == {C} and twins.leaks(TEST, TRAIN).near == {D}


def test_only_what_was_seen_counts():
    twins = TwinList(groups=[[A, C]], pairs=[(B, D), (E, F)])
    assert twins.leaks(TEST, {B}).rows == {D}
    assert twins.leaks(TEST, set()).rows == set()


@pytest.mark.parametrize("text", ["", "group,split,row\n0,train,x\n", "group,split,row\n0,train,\n"])
def test_a_damaged_table_is_refused(tmp_path, text):
    (tmp_path / NEAR_FILE).write_text("split,row,twin_split,twin_row\n")
    (tmp_path / EXACT_FILE).write_text(text)
    if text:
        with pytest.raises(InputError, match="run the audit again"):
            TwinList.read(tmp_path)
    else:
        assert TwinList.read(tmp_path) == TwinList([], [])
