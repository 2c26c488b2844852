"""Models on the Hub: their cards, and the way there and back."""
