"""The stages, and which of them train, fine-tune, export or measure."""

# What each stage trains; a training stage is also the name of its part of the configuration.
STAGES: dict[str, tuple[str, ...]] = {
    "probe": ("probe",),
    "finetune": ("finetune",),
    "lpft": ("probe", "finetune"),
    "audit": (),
    "evaluate": (),
    "predict": (),
    "compare": (),
    "demo": (),
    "export": (),
    "push": (),
}
TRAINING_STAGES = tuple(stage for stage, trained in STAGES.items() if trained)
FINETUNING_STAGES = ("finetune", "lpft")
EXPORTING_STAGES = ("export", "push")
MEASURING_STAGES = (*TRAINING_STAGES, "evaluate")
# What is trained, and the part of the configuration with its training arguments.
TRAINED = ("probe", "finetune")
