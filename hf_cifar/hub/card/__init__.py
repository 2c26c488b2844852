"""Write the model card of a trained stage: the README.md of its repository."""

from hf_cifar.hub.card.card import render_card, write_card
from hf_cifar.hub.card.merge import merge_card

__all__ = ["merge_card", "render_card", "write_card"]
