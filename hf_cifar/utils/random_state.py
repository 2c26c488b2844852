"""Seeds, and random draws by a seed of their own, without a trace in the generators that a run draws from."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of_32_bits(seed: int) -> int:
    """Return the seed for numpy's global generator and for transformers, which take no more than 32 bits."""
    return seed % 2**32


@contextmanager
def seeded_cpu(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator within the block, and restore its state afterwards.

    `torch.manual_seed` would seed the generators of every accelerator too, which `torch.random.fork_rng(devices=[])`
    does not restore.

    Args:
        seed: the draws on the CPU are those that follow `torch.manual_seed(seed)`.
    """
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)
