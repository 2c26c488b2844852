import subprocess
import sys

from PIL import Image

from hf_cifar.data.image_files import image_suffixes, readable_suffixes
from hf_cifar.inference import image_paths


def test_formats_that_cameras_and_the_web_use_are_images_and_documents_are_not():
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"} <= readable_suffixes()
    assert not {".pdf", ".eps", ".mpg", ".h5", ".txt", ".parquet", ""} & image_suffixes()


def test_every_readable_suffix_is_one_that_pillow_opens():
    known = Image.registered_extensions()
    assert all(known[suffix] in Image.OPEN for suffix in readable_suffixes())
    assert image_suffixes() - readable_suffixes() <= {".heic", ".heif", ".svg", ".avif", ".jxl"}


def test_prediction_uses_the_same_definition():
    assert image_paths.image_suffixes is image_suffixes


def test_importing_it_imports_nothing_heavy():
    code = "import sys, hf_cifar.data.image_files; assert not {'torch', 'datasets', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
