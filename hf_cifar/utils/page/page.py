"""Open the template of a page, which extends `base.html` and may use the macros beside it.

A page is one file: it loads nothing, and no script runs in it but `page.js`, which its policy names by its hash. With
scripts switched off, or in a viewer that runs none, everything on it can be read and opened all the same.
"""

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.utils.formatting import middle_left_out

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent


@functools.cache
def page_template(path: Path) -> "Template":
    """Return a template, ready to be rendered; what it is not given is an error, and text is never markup.

    Args:
        path: of the template.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([path.parent, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["middle_left_out"] = middle_left_out
    script = page_script()
    environment.globals |= {"script": script, "policy": policy(script)}
    return environment.get_template(path.name)


def page_script() -> str:
    """Return the only script that runs in a page."""
    return (FOLDER / "page.js").read_text(encoding="utf-8")


def policy(script: str) -> str:
    """Return the content security policy of a page: nothing from outside, and no script but the one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
