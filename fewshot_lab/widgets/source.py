"""The course's own code inside a notebook: what a chapter speaks of is one cell away."""

import inspect
import textwrap
from collections.abc import Callable

from IPython.display import Markdown


def source(function: Callable, block: str = "") -> Markdown:
    """Shows a function's code, highlighted; with `block` only the statement that begins so, and what is indented below it.

    source(train, "for step in") shows the loop alone. Raises ValueError when no line begins with `block`.
    """
    lines = inspect.getsource(function).rstrip().split("\n")
    if block:
        first = next((n for n, line in enumerate(lines) if line.lstrip().startswith(block)), None)
        if first is None:
            raise ValueError(f"No line of {function.__name__} begins with {block!r}.")
        indent = len(lines[first]) - len(lines[first].lstrip())
        below = (n for n in range(first + 1, len(lines)) if lines[n].strip() and not lines[n].startswith(" " * (indent + 1)))
        lines = lines[first : next(below, len(lines))]
    code = textwrap.dedent("\n".join(lines)).rstrip()
    return Markdown(f"```python\n{code}\n```")
