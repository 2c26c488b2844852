"""Every family that is tested, by the name that its tests have."""

from support.attention_families import ATTENTION
from support.convolution_families import CONVOLUTION
from support.family import LABELS, SIZE, TIMM, VIT, Family, numbered

__all__ = ["FAMILIES", "LABELS", "SIZE", "VIT"]

OF_TIMM = {
    "timm-resnet": Family(
        "TimmWrapperForImageClassification",
        {"architecture": "test_resnet", "model_args": {"channels": [8, 8, 8, 8]}},
        ("", {}),
        ("timm_model.fc",),
        8,
        ("timm_model.conv1", *(f"timm_model.layer{number}" for number in range(1, 5))),
        timm=TIMM,
    ),
    "timm-vit": Family(
        "TimmWrapperForImageClassification",
        {
            "architecture": "vit_tiny_patch16_224",
            "model_args": {"embed_dim": 12, "depth": 2, "img_size": SIZE, "patch_size": 8},
        },
        ("", {}),
        ("timm_model.head",),
        12,
        ("timm_model.patch_embed", *numbered("timm_model.blocks", 2)),
        timm={**TIMM, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9},
    ),
    "timm-deit-distilled": Family(
        "TimmWrapperForImageClassification",
        {
            "architecture": "deit_tiny_distilled_patch16_224",
            "model_args": {"embed_dim": 12, "depth": 2, "img_size": SIZE, "patch_size": 8},
        },
        ("", {}),
        ("timm_model.head", "timm_model.head_dist"),
        24,
        ("timm_model.patch_embed", *numbered("timm_model.blocks", 2)),
        timm=TIMM,
    ),
    "timm-convnext": Family(
        "TimmWrapperForImageClassification",
        {"architecture": "test_convnext", "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 16]}},
        ("", {}),
        ("timm_model.head.fc",),
        16,
        ("timm_model.stem", *numbered("timm_model.stages", 4)),
        timm=TIMM,
    ),
    "timm-swin": Family(
        "TimmWrapperForImageClassification",
        {
            "architecture": "swin_tiny_patch4_window7_224",
            "model_args": {
                "embed_dim": 8,
                "depths": [2, 2],
                "num_heads": [1, 2],
                "img_size": SIZE,
                "patch_size": 2,
                "window_size": 4,
            },
        },
        ("", {}),
        ("timm_model.head.fc",),
        16,
        ("timm_model.patch_embed", *numbered("timm_model.layers", 2)),
        timm=TIMM,
    ),
    "timm-efficientnet": Family(
        "TimmWrapperForImageClassification",
        {"architecture": "test_efficientnet", "model_args": {}},
        ("", {}),
        ("timm_model.classifier",),
        256,
        ("timm_model.conv_stem", *numbered("timm_model.blocks", 5)),
        timm=TIMM,
    ),
}
FAMILIES = {**CONVOLUTION, **ATTENTION, **OF_TIMM}
