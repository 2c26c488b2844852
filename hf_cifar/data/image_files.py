"""Which files are images, by their suffix: one definition for training and for prediction. Light: no torch here."""

from functools import cache

# Formats that Pillow opens only through other programs, or that hold no picture.
NOT_IMAGES = {".pdf", ".mpg", ".mpeg", ".eps", ".ps", ".wmf", ".emf", ".h5", ".hdf", ".grib", ".bufr"}
# Photos that Pillow cannot read without a plugin: reported rather than silently left out.
PLUGIN_FORMATS = {".heic", ".heif"}


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of image files, in lower case, those that need a plugin of Pillow included."""
    return readable_suffixes() | PLUGIN_FORMATS


@cache
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of image files that the installed Pillow reads, in lower case."""
    from PIL import Image

    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return frozenset(known - NOT_IMAGES)
