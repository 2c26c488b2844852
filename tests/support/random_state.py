"""Whether anything seeds the generators of an accelerator."""

import torch


def spy_on_accelerators(monkeypatch) -> list[str]:
    """Return a list that gets the name of each function that would seed an accelerator's generators.

    `torch.manual_seed` is one: it seeds every device, at once or when the device is first used.
    """
    touched: list[str] = []
    for module, name in ((torch.cuda, "manual_seed_all"), (torch.cuda, "_lazy_call"), (torch.mps, "manual_seed")):
        monkeypatch.setattr(module, name, lambda *_, name=name, **__: touched.append(name))
    return touched
