"""Where a model goes on the Hub."""

from dataclasses import dataclass

from hf_cifar.config.fields import Usual, option
from hf_cifar.config.stages import TRAINING_STAGES


@dataclass
class HubConfig:
    """Where a model goes on the Hub. The token is never a part of it."""

    push_to_hub: bool = option(
        False,
        "push the last stage to --hub-model-id when training is done",
        stages=TRAINING_STAGES,
        usual=Usual("hub"),
    )
    hub_model_id: str | None = option(
        None, "repository on the Hub", metavar="USER/NAME", usual=Usual("hub", "repository on the Hub")
    )
    hub_token_file: str | None = option(
        None,
        "file that holds the Hub token; default: HF_TOKEN, or the login of `hf auth login`",
        metavar="FILE",
        stages=(*TRAINING_STAGES, "push"),
    )
    revision: str | None = option(
        None,
        "branch to push to; created if it does not exist (default: main)",
        stages=(*TRAINING_STAGES, "push"),
        usual=Usual("hub", rare_in=TRAINING_STAGES),
    )
    public: bool = option(
        False, "make a new repository public; default: private", stages=(*TRAINING_STAGES, "push"), usual=Usual("hub")
    )
    space: str | None = option(
        None,
        "push a Space of the same name too. static: a page that classifies in the visitor's browser, with the export's "
        "ONNX network; gradio: an app that computes on the Hub's machine",
        choices=("static", "gradio"),
        stages=("push",),
        usual=Usual("hub", "also a page that classifies: in the browser, or by gradio"),
    )
    dry_run: bool = option(
        False,
        "training: say what would be trained on what, how long that takes by a measured batch and how large it gets, "
        "and train nothing; push: list what would be pushed, and send nothing",
        stages=(*TRAINING_STAGES, "push"),
        usual=Usual(
            "hub",
            "say how long it would take and how large it gets; train nothing",
            in_stages={"push": "list what would be pushed, and send nothing"},
        ),
    )
    license: str | None = option(
        None,
        "license of the model, as the Hub names it, such as apache-2.0; default: the base model's, if known",
        usual=Usual("hub", "as the Hub names it, such as apache-2.0 (default: the base model's)"),
    )
