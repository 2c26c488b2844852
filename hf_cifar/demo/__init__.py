"""A local page that answers with trained models: for an image, for the camera, for many files."""
