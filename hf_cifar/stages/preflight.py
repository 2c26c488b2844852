"""Judge a request before anything heavy is imported: is the network needed, and is what is needed cached?"""

from pathlib import Path

from hf_cifar.config.locate import torchvision_weights_cached
from hf_cifar.errors import InputError
from hf_cifar.hub.access import check_push
from hf_cifar.run.request import Request
from hf_cifar.utils.files import refuse_unwritable
from hf_cifar.utils.network import go_offline, hub_cached, hub_reachable, is_address, reachable
from hf_cifar.utils.packages import require, require_train

TORCHVISION_SERVER = "https://download.pytorch.org"
LOCAL_DATASET = "give a local folder (--dataset DIR), or try --recipe demo"
LOCAL_BOTH = "give a local folder (--dataset DIR) and local weights (--weights FILE), or try --recipe demo"
LOCAL_MODEL = "give weights that are on this machine (--weights FILE), or the bundled --model resnet18-mini"


def check(request: Request) -> None:
    """Refuse within seconds what cannot work; switch to cached files where the Hub does not respond.

    Raises:
        InputError: torch or transformers is needed and not installed; a folder that cannot be made, something that is
            neither cached nor within reach, or a push that the token has no right to.
        PermissionError: a folder is read-only.
        HubError: a push is asked for, and the Hub cannot be reached.
    """
    config = request.config
    if config.stage != "predict":
        require_train(f"--stage {config.stage}")
    elif config.prediction.backend == "torch":
        require_train("--stage predict --backend torch", ", or take an exported form, such as --backend onnx")
    if config.stages or config.stage == "audit":
        refuse_unwritable("--output-dir", config.folder)
        if (config.stage == "audit" or "probe" in config.stages) and config.probe.feature_cache is not None:
            _check_feature_cache(config.probe.feature_cache)
    if config.stages and config.hub.push_to_hub:
        # Before hours of training, not after; the push stage asks for itself.
        check_push(config)
    if config.stage == "demo":
        _check_demo()
    on_hub: list[tuple[str, str, str | None]] = []
    for location in (request.model, *request.beside, request.weights):
        if location is not None and location.kind == "hub":
            on_hub.append(("model", location.name, location.revision))
    if request.dataset is not None and request.dataset.kind == "hub":
        on_hub.append(("dataset", request.dataset.name, None))
    if on_hub and not hub_reachable():
        for kind, name, revision in on_hub:
            if not hub_cached(kind, name, revision):
                full = name if revision is None else f"{name}@{revision}"
                replaced = config.stages or config.stage == "audit" or kind == "dataset"
                of_dataset = LOCAL_BOTH if _uncached_weights(request) else LOCAL_DATASET
                local = of_dataset if kind == "dataset" else LOCAL_MODEL
                ways = local if replaced else "use a saved folder (--checkpoint DIR)"
                # What was meant may be a path that is not there.
                given = (config.data.dataset, config.checkpoint, config.finetune.from_, config.model.model)
                missing = f"no folder {full} is here, " if full in given else ""
                raise InputError(f"{missing}cannot reach the Hugging Face Hub, and {kind} {full} is not cached: {ways}")
        go_offline()
    _check_torchvision(request)


def _check_demo() -> None:
    for module in ("gradio", "pytorch_grad_cam"):
        require(module, "demo")


def _check_feature_cache(place: str) -> None:
    if not is_address(place):
        refuse_unwritable("--feature-cache", Path(place).expanduser())
        return
    from hf_cifar.data.shared_store import SharedStore  # an address is rare, and fsspec takes a moment to import

    SharedStore(place).check()


def _check_torchvision(request: Request) -> None:
    weights = _uncached_weights(request)
    if weights and not reachable(TORCHVISION_SERVER):
        raise InputError(
            f"cannot reach {TORCHVISION_SERVER}, and {weights} are not cached: {LOCAL_MODEL}, which is much weaker"
        )


def _uncached_weights(request: Request) -> str | None:
    """Return torchvision's own weights in words, where they are asked for and have to be downloaded first."""
    model, weights = request.model, request.weights
    if model is None or weights is None or model.kind != "torchvision" or weights.kind != "torchvision":
        return None
    return None if torchvision_weights_cached(model.name) else f"the {weights.name} weights of {model.name}"
