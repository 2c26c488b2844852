"""The target and the token of a push, as far as they are judged without the Hub."""

import pytest

from hf_cifar.config.options.hub import HubConfig
from hf_cifar.errors import InputError
from hf_cifar.hub.access import check_branch, check_target, find_token


@pytest.mark.parametrize("name", ["me/model", "a-b/c_d.e", "u/" + "x" * 90])
def test_names_of_repositories(name):
    assert check_target(HubConfig(hub_model_id=name)) == name


@pytest.mark.parametrize("name", ["model", "a/b/c", "a/b--c", "a/b..c", "a/b.git", "a/b c", "a/" + "x" * 100])
def test_what_is_no_name_of_a_repository(name):
    with pytest.raises(InputError, match="is not a valid repository name: give USER/NAME"):
        check_target(HubConfig(hub_model_id=name))


def test_a_missing_repository():
    with pytest.raises(InputError, match="--hub-model-id is missing"):
        check_target(HubConfig())


@pytest.mark.parametrize("name", [None, "main", "v1.0", "feature/x", "a" * 39, "refs-1"])
def test_branches(name):
    check_branch(name)


@pytest.mark.parametrize("name", ["", "a b", "a..b", "-a", "a~1", "x.lock", "/x", "x/", "a@{1}", "0" * 40, "a\x07b"])
def test_what_is_no_branch(name):
    with pytest.raises(InputError, match="is not a valid branch name"):
        check_branch(name)


def test_a_file_wins_over_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    assert find_token(HubConfig()) == "hf_environment"
    (tmp_path / "key").write_text(" hf_file\n")
    assert find_token(HubConfig(hub_token_file=str(tmp_path / "key"))) == "hf_file"


@pytest.mark.parametrize("content", ["", "two words", "schlüssel", "a\x00b"])
def test_what_is_no_token_is_not_quoted(tmp_path, content):
    (tmp_path / "key").write_text(content)
    with pytest.raises(InputError, match="does not hold a token") as refused:
        find_token(HubConfig(hub_token_file=str(tmp_path / "key")))
    assert not content or content not in str(refused.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        find_token(HubConfig(hub_token_file=str(tmp_path / "none")))
