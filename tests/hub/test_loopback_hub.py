"""The loopback Hub, asked by the real client: what is tested against it is worth as much as it is like the Hub."""

from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_session, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from support.hub.fixtures import TOKEN

REPO = "alice/flowers"
LARGE = bytes(range(256)) * 4096


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.url, token=TOKEN)


def commit(api: HfApi, files: dict[str, bytes], **options):
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    return api.create_commit(REPO, operations, commit_message="some files", **options)


def download(hub, tmp_path, path, **options):
    options = {"token": TOKEN, "endpoint": hub.url, "cache_dir": tmp_path, **options}
    return hf_hub_download(REPO, path, **options)


def test_what_is_committed_comes_back(hub, api, tmp_path):
    assert api.create_repo(REPO, private=True).repo_id == REPO
    made = commit(api, {"model.safetensors": LARGE, "config.json": b"{}", "figures/one.png": b"\x89PNG\0"})
    assert hub.count("lfs_put") == 2, "the picture is binary"
    assert all(asked.token is None for asked in hub.asked if asked.endpoint == "lfs_put")
    for path, content in (("model.safetensors", LARGE), ("config.json", b"{}")):
        assert Path(download(hub, tmp_path, path)).read_bytes() == content
    info = api.model_info(REPO)
    assert info.sha == made.oid and info.private and len(info.siblings) == 4
    commit(api, {"config.json": b"{}"})
    assert [item.title for item in api.list_repo_commits(REPO)] == ["some files", "initial commit"], "nothing is new"
    tree = {item.path: item for item in api.list_repo_tree(REPO, recursive=True, expand=True)}
    assert tree["model.safetensors"].lfs.size == len(LARGE) and tree["config.json"].lfs is None
    assert tree["config.json"].last_commit.title == "some files"
    assert tree[".gitattributes"].last_commit.title == "initial commit" and "figures" in tree
    assert [item.path for item in api.list_repo_tree(REPO, "figures")] == ["figures/one.png"]


def test_a_part_of_a_file(hub, api):
    api.create_repo(REPO)
    commit(api, {"model.safetensors": LARGE})
    url = f"{hub.url}/{REPO}/resolve/main/model.safetensors"
    part = get_session().get(url, headers={"Range": "bytes=100-199", "Authorization": f"Bearer {TOKEN}"})
    assert part.status_code == 206 and part.content == LARGE[100:200]
    head = get_session().head(url, headers={"Authorization": f"Bearer {TOKEN}"})
    assert int(head.headers["Content-Length"]) == len(LARGE)


def test_a_download_that_is_cut_goes_on_where_it_ended(hub, api, tmp_path):
    api.create_repo(REPO)
    commit(api, {"model.safetensors": LARGE})
    hub.asked.clear()
    hub.fail("resolve", cut="body", times=2)  # the HEAD has no body to cut
    assert Path(download(hub, tmp_path, "model.safetensors")).read_bytes() == LARGE


def test_branches_tags_and_what_is_missing(hub, api, tmp_path):
    api.create_repo(REPO)
    commit(api, {"config.json": b"1"})
    api.create_tag(REPO, tag="v1")
    api.create_branch(REPO, branch="next/try")
    commit(api, {"config.json": b"2"}, revision="next/try")
    for revision, content in (("main", "1"), ("v1", "1"), ("next/try", "2")):
        assert Path(download(hub, tmp_path, "config.json", revision=revision)).read_text() == content
    refs = api.list_repo_refs(REPO)
    assert [ref.name for ref in refs.branches] == ["main", "next/try"] and [ref.name for ref in refs.tags] == ["v1"]
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_branch(REPO, branch="next/try")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPO, revision="nowhere")
    with pytest.raises(EntryNotFoundError):
        download(hub, tmp_path, "missing.json")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("alice/nothing")


def test_who_may_read_and_write(hub, api):
    api.create_repo(REPO, private=True)
    hub.account("hf_bob", "bob")
    hub.account("hf_guest", "alice", role="read")
    for token in (False, "hf_bob"):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(REPO, token=token)
    with pytest.raises(HfHubHTTPError) as refused:
        commit(api, {"config.json": b""}, token="hf_guest")
    assert refused.value.response.status_code == 403
    with pytest.raises(HfHubHTTPError) as refused:
        api.create_repo("bob/other")
    assert refused.value.response.status_code == 403
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api.whoami(token="hf_stolen")
    assert api.whoami()["name"] == "alice" and api.whoami()["orgs"][0]["name"] == "flowers"
    assert api.create_repo("flowers/rose").repo_id == "flowers/rose"


def test_a_commit_is_whole_or_not_there(hub, api):
    api.create_repo(REPO)
    first = commit(api, {"config.json": b"1", "old.txt": b"old"})
    commit(api, {"config.json": b"2"})
    before = hub.repository(REPO).head
    with pytest.raises(HfHubHTTPError) as stale:
        commit(api, {"config.json": b"3"}, parent_commit=first.oid)
    assert stale.value.response.status_code == 412
    with pytest.raises(ValueError, match="Invalid metadata"):
        commit(api, {"README.md": b"---\nlicense: [\n---\n"})
    operations = [CommitOperationAdd("config.json", b"4"), CommitOperationDelete("missing.txt")]
    with pytest.raises(EntryNotFoundError):
        api.create_commit(REPO, operations, commit_message="half")
    assert hub.repository(REPO).head is before
    api.create_commit(REPO, [CommitOperationDelete("old.txt")], commit_message="less")
    assert "old.txt" not in hub.repository(REPO).head.files


def test_faults_happen_as_often_as_they_are_asked_for(hub, api):
    api.create_repo(REPO)
    hub.fail("info", status=503, times=2)
    for _ in range(2):
        with pytest.raises(HfHubHTTPError, match="503"):
            api.model_info(REPO)
    assert api.model_info(REPO).id == REPO
    hub.fail("commit", cut="answer", times=1)
    with pytest.raises(Exception, match="disconnected"):
        commit(api, {"config.json": b"1"})
    assert hub.repository(REPO).head.title == "some files", "what was asked is done, only the answer is lost"
    hub.fail("commit", cut="body", times=1)
    with pytest.raises(Exception, match=r"disconnected|reset|Broken pipe"):
        commit(api, {"config.json": b"2"})
    assert hub.repository(REPO).head.files["config.json"].content == b"1"
    with hub.down(), pytest.raises(Exception, match="refused"):
        api.model_info(REPO)
    assert api.model_info(REPO).id == REPO
