"""The stages of the command line."""
