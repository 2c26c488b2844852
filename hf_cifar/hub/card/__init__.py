"""Write the model card of a trained stage: the README.md of its repository."""
