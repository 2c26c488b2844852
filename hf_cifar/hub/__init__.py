"""Model cards, exported folders, and pushes to the Hub."""
