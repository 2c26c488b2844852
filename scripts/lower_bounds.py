"""Print the lowest versions that setup.cfg allows, one `name==version` a line: `python scripts/lower_bounds.py`.

`make test-oldest` installs exactly these, with the extra `test`, and runs the suite on them.
"""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"
LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)\s*>=\s*(?P<version>[\w.]+)")


def lower_bounds(text: str) -> list[str]:
    """Return `name==version` for every requirement with a lower bound, without duplicates.

    Args:
        text: the contents of a `setup.cfg`; its `install_requires` and the extra `test` are read.
    """
    parser = configparser.ConfigParser()
    parser.read_string(text)
    requirements = parser["options"]["install_requires"] + "\n" + parser["options.extras_require"]["test"]
    matches = (LOWER_BOUND.match(line.strip()) for line in requirements.splitlines())
    return list(dict.fromkeys(f"{match['name']}=={match['version']}" for match in matches if match))


if __name__ == "__main__":
    print("\n".join(lower_bounds(SETUP.read_text(encoding="utf-8"))))
