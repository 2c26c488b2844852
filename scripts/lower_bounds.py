"""Print the lowest versions that setup.cfg allows, one `name==version` a line: `python scripts/lower_bounds.py`.

`make test-oldest` installs exactly these, with the extra `test`, and runs the suite on them.
"""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"
LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)\s*>=\s*(?P<version>[\w.]+)")
EXTRAS = re.compile(r"hf_cifar\[(?P<names>[\w,]+)\]")


def lower_bounds(text: str) -> list[str]:
    """Return `name==version` for every requirement with a lower bound, without duplicates.

    Args:
        text: the contents of a `setup.cfg`; its `install_requires`, its extra `test`, and what this names, are read.
    """
    parser = configparser.ConfigParser()
    parser.read_string(text)
    extras = parser["options.extras_require"]
    lines, waiting = parser["options"]["install_requires"].splitlines(), ["test"]
    while waiting:
        for line in extras[waiting.pop()].splitlines():
            named = EXTRAS.match(line.strip())
            waiting += named["names"].split(",") if named else []
            lines.append(line)
    matches = (LOWER_BOUND.match(line.strip()) for line in lines)
    return list(dict.fromkeys(f"{match['name']}=={match['version']}" for match in matches if match))


if __name__ == "__main__":
    print("\n".join(lower_bounds(SETUP.read_text(encoding="utf-8"))))
