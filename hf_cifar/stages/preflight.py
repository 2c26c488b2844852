"""What can be said of a request before anything heavy is imported: missing folders, no network."""

from hf_cifar.config.locate import (
    DEFAULT_WEIGHTS,
    Location,
    locate_checkpoint,
    locate_dataset,
    locate_model,
    locate_start,
    locate_weights,
    torchvision_weights_cached,
)
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.hub.access import check_push
from hf_cifar.run.run_folder import adds_to_probe
from hf_cifar.utils.network import go_offline, hub_cached, hub_reachable, reachable

TORCHVISION_SERVER = "https://download.pytorch.org"
WAYS_OUT = "use a local folder (--dataset DIR) and local weights (--weights FILE), or try --recipe demo"


def check(config: RunConfig) -> None:
    """Refuse within seconds what cannot work; switch to cached files where the Hub does not answer.

    Raises:
        InputError: a path that does not exist, something that is neither cached nor within reach, or a push that the
            token has no right to.
        HubError: a push is asked for, and the Hub cannot be reached.
    """
    if config.stages and config.hub.push_to_hub:
        # Before hours of training, not after; the push stage asks for itself.
        check_push(config)
    from_hub: list[tuple[str, str, str | None]] = []
    if config.stages or config.stage == "evaluate":
        dataset = locate_dataset(config.data.dataset)
        from_hub += [("dataset", dataset.name, None)] if dataset.kind == "hub" else []
    model, weights = _model(config)
    from_hub += [("model", item.name, item.revision) for item in (model, weights) if item and item.kind == "hub"]
    if from_hub and not hub_reachable():
        for kind, name, revision in from_hub:
            if not hub_cached(kind, name, revision):
                full = name if revision is None else f"{name}@{revision}"
                ways = WAYS_OUT if config.stages or kind == "dataset" else "use a saved folder (--checkpoint DIR)"
                raise InputError(f"cannot reach the Hugging Face Hub, and {kind} {full} is not cached: {ways}")
        go_offline()
    if (
        model
        and weights
        and weights.kind == "torchvision"
        and model.kind == "torchvision"
        and not torchvision_weights_cached(model.name)
        and not reachable(TORCHVISION_SERVER)
    ):
        raise InputError(
            f"cannot reach {TORCHVISION_SERVER}, and the {weights.name} weights of {model.name} are not cached: "
            + WAYS_OUT
        )


def _model(config: RunConfig) -> tuple[Location | None, Location | None]:
    """The model that a stage takes, and the weights that are loaded from elsewhere than its own folder."""
    if config.stage in ("compare", "export", "push"):
        return None, None
    if not config.stages:
        return locate_checkpoint(config.checkpoint or str(config.folder)), None
    if config.finetune.from_ is not None:
        return locate_start(config.finetune.from_), None
    if adds_to_probe(config):
        return locate_start(str(config.folder / "probe")), None
    weights = locate_weights(config.model.weights or DEFAULT_WEIGHTS) if _takes_weights(config) else None
    return locate_model(config.model.model), weights


def _takes_weights(config: RunConfig) -> bool:
    """Whether weights are loaded from elsewhere than the model's own folder."""
    return config.model.weights is not None or locate_model(config.model.model).kind == "torchvision"
