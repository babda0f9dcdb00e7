"""Where the tests find things: the course, and data that only some machines have, named by environment variables."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def given_folder(variable: str) -> Path | None:
    """The folder that an environment variable names, None when it is not set; raises FileNotFoundError for a wrong one."""
    if not (name := os.environ.get(variable)):
        return None
    if not (folder := Path(name)).exists():
        raise FileNotFoundError(f"{variable} is {name}, which does not exist.")
    return folder


OMNIGLOT = given_folder("FEWSHOT_LAB_OMNIGLOT")
WNUT17 = given_folder("FEWSHOT_LAB_WNUT17")
