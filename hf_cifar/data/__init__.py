"""Images in: where they come from, how they are split, and what the network sees of them."""
