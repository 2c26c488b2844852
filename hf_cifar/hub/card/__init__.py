"""The model card: what a run left on disk, as the README.md of a repository."""

from hf_cifar.hub.card.card import render_card, write_card
from hf_cifar.hub.card.merge import merge_card

__all__ = ["merge_card", "render_card", "write_card"]
