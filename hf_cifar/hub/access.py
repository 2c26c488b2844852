"""Check the target and the token of a push within seconds, before anything is trained or sent. Imports no torch."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.config.options.hub import HubConfig
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import HubError, InputError
from hf_cifar.hub.failures import NEW_TOKEN, quiet_client, retried
from hf_cifar.utils.network import hub_endpoint, is_hub_id, reachable

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOKEN_ADVICE = "set HF_TOKEN, log in with `hf auth login`, or give --hub-token-file FILE"
WRITING_ROLES = ("write", "fineGrained")


def check_push(config: RunConfig) -> None:
    """Refuse a push that cannot work, such as that of `--push-to-hub` before training; the Hub is asked for the token's
    owner only.

    Raises:
        InputError: the repository is missing or invalid, or the token is missing, unknown or without write access.
        HubError: the Hub cannot be reached.
    """
    check_target(config.hub)
    if not config.hub.dry_run:
        check_access(config.hub)


def check_target(hub: HubConfig) -> str:
    """Return the repository to push to, after checking its name and that of the branch.

    Raises:
        InputError: the repository is missing, or a name is invalid.
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
            f"--hub-model-id {hub.hub_model_id} is not a valid repository name: give USER/NAME with at most 96 "
            "letters, digits, -, _ and ., without -- and .. and without a final .git"
        )
    check_branch(hub.revision)
    return name


def check_branch(name: str | None) -> None:
    """Refuse a name that git does not accept for a branch, and the hash of a commit."""
    if name is None:
        return
    invalid = re.search(r"[\s~^:?*\[\\\x00-\x20]|\.\.|//|@\{|^[-/.]|[/.]$|\.lock$", name) or not name
    if invalid or re.fullmatch(r"[0-9a-fA-F]{40}", name):
        raise InputError(f"--revision {name} is not a valid branch name: a push goes to a branch, such as main")


def check_access(hub: HubConfig) -> str:
    """Return the token, after the Hub has confirmed that it may write to the owner's repositories.

    Raises:
        InputError, HubError: as `check_push`.
    """
    name = check_target(hub)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise InputError("HF_HUB_OFFLINE is set, but a push needs the Hub: unset it")
    token = find_token(hub)
    if token is None:
        raise InputError(f"a push to {name} needs a Hub token: {TOKEN_ADVICE}")
    reachable.cache_clear()  # the network may be back
    if not reachable(hub_endpoint()):
        raise HubError(f"cannot reach the Hub at {hub_endpoint()}: check the network connection; nothing was sent")
    with quiet_client():
        account = retried(lambda: api(token).whoami(), name)
    owner, role = name.partition("/")[0], ((account.get("auth") or {}).get("accessToken") or {}).get("role")
    names = [str(account.get("name")), *(str(item.get("name")) for item in account.get("orgs") or ())]
    if role is not None and role not in WRITING_ROLES:
        raise InputError(f"the token of {names[0]} is read-only: {NEW_TOKEN}")
    if owner not in names:
        targets = " or ".join(name.replace(owner, allowed, 1) for allowed in names)
        raise InputError(f"the token belongs to {names[0]}, who cannot write to {owner}: push to {targets}")
    return token


def find_token(hub: HubConfig) -> str | None:
    """Return the token of `--hub-token-file`, or else of HF_TOKEN or the login; None where there is none.

    Raises:
        InputError: the file cannot be read, or its content is not a token.
    """
    if hub.hub_token_file is not None:
        path = Path(hub.hub_token_file).expanduser()
        try:
            token, source = path.read_text(encoding="utf-8").strip(), f"--hub-token-file {path}"
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--hub-token-file {path} cannot be read") from error
    else:
        from huggingface_hub import get_token

        stored = get_token()
        if stored is None:
            return None
        token, source = stored, "HF_TOKEN, or the login,"
    # The client would quote it in its own error.
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{source} does not hold a token: a token is one word, such as hf_…")
    return token


def api(token: str | None) -> "HfApi":
    """Return the Hub's client; without a token it does not look for one elsewhere."""
    from huggingface_hub import HfApi

    return HfApi(token=token or False, library_name="hf_cifar")


def get_text(url: str, token: str | None) -> str:
    """Return the content of a text file on the Hub."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    response = get_session().get(url, headers=build_hf_headers(token=token or False))
    hf_raise_for_status(response)
    return str(response.content.decode("utf-8"))
