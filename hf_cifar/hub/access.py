"""Who may push where: found out in seconds, before anything is trained or sent. Light: no torch here."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.config.parts import HubConfig
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import HubError, InputError
from hf_cifar.hub.failures import NEW_TOKEN, a_quiet_client, patiently
from hf_cifar.utils.network import hub_endpoint, is_hub_id, reachable

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WAYS_TO_A_TOKEN = "set HF_TOKEN, log in with `hf auth login`, or give --hub-token-file FILE"
WRITES = ("write", "fineGrained")


def check_push(config: RunConfig) -> None:
    """Refuse within seconds a push that cannot work: asks the Hub whose token it is, and sends nothing else.

    For `--stage push`, and for `--push-to-hub` before the training.

    Raises:
        InputError: no or a wrong repository, no token, one that the Hub does not know, or one without the right.
        HubError: the Hub cannot be reached.
    """
    check_target(config.hub)
    if not config.hub.dry_run:
        check_access(config.hub)


def check_target(hub: HubConfig) -> str:
    """The repository that is pushed to, once its name and the branch are names that the Hub takes.

    Raises:
        InputError: there is none, or it is no such name.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    name = hub.hub_model_id
    if not name:
        raise InputError("--hub-model-id is missing: give the repository to push to, as USER/NAME")
    try:
        validate_repo_id(name)
    except HFValidationError:
        name = ""
    if not is_hub_id(name):
        raise InputError(
            f"--hub-model-id {hub.hub_model_id} is no name of a repository: give USER/NAME, of letters, digits, "
            "-, _ and . (96 at most, without -- and .., and without .git at the end)"
        )
    check_branch(hub.revision)
    return name


def check_branch(name: str | None) -> None:
    """Refuse what git takes for no name of a branch, or for the number of a commit."""
    if name is None:
        return
    wrong = re.search(r"[\s~^:?*\[\\\x00-\x20]|\.\.|//|@\{|^[-/.]|[/.]$|\.lock$", name) or not name
    if wrong or re.fullmatch(r"[0-9a-fA-F]{40}", name):
        raise InputError(f"--revision {name} is no name of a branch: a push goes to a branch, such as main")


def check_access(hub: HubConfig) -> str:
    """The token, once the Hub has said that it may write to the owner's repositories.

    Raises:
        InputError, HubError: as `check_push`.
    """
    name = check_target(hub)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise InputError("HF_HUB_OFFLINE is set, and a push needs the Hub: unset it")
    token = find_token(hub)
    if token is None:
        raise InputError(f"a push to {name} needs a token of the Hub: {WAYS_TO_A_TOKEN}")
    reachable.cache_clear()  # the network may be back since it was asked for last
    if not reachable(hub_endpoint()):
        raise HubError(f"cannot reach the Hub at {hub_endpoint()}, and nothing is sent: is there a network?")
    with a_quiet_client():
        person = patiently(lambda: api(token).whoami(), name)
    owner, role = name.partition("/")[0], ((person.get("auth") or {}).get("accessToken") or {}).get("role")
    names = [str(person.get("name")), *(str(item.get("name")) for item in person.get("orgs") or ())]
    if role is not None and role not in WRITES:
        raise InputError(f"the token of {names[0]} may only read: {NEW_TOKEN}")
    if owner not in names:
        ways = " or ".join(name.replace(owner, one, 1) for one in names)
        raise InputError(f"the token is of {names[0]}, who has no right to write to {owner}: push to {ways}")
    return token


def find_token(hub: HubConfig) -> str | None:
    """The token of `--hub-token-file`, or else of HF_TOKEN or the login; None where there is none.

    Raises:
        InputError: the file cannot be read, or what is found can be no token.
    """
    if hub.hub_token_file is not None:
        path = Path(hub.hub_token_file).expanduser()
        try:
            token, where = path.read_text(encoding="utf-8").strip(), f"--hub-token-file {path}"
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--hub-token-file {path} cannot be read") from error
    else:
        from huggingface_hub import get_token

        found = get_token()
        if found is None:
            return None
        token, where = found, "HF_TOKEN, or the login,"
    # The client would quote it in its complaint.
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{where} holds no token: a token is one word, such as hf_…")
    return token


def api(token: str | None) -> "HfApi":
    """The Hub's client; without a token it does not look for one elsewhere."""
    from huggingface_hub import HfApi

    return HfApi(token=token or False, library_name="hf_cifar")


def get_text(url: str, token: str | None) -> str:
    """A text file of the Hub."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    response = get_session().get(url, headers=build_hf_headers(token=token or False))
    hf_raise_for_status(response)
    return str(response.content.decode("utf-8"))
