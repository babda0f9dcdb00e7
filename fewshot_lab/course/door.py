"""The door of a notebook: `setup` with the way to the page of all chapters and to the next chapter."""

import functools
import os
from pathlib import Path

from markupsafe import Markup

from .. import attempts, runtime
from ..errors import CourseError
from ..languages import say
from .chapters import chapters
from .progress import title

PAGE = "FEWSHOT_LAB_PAGE"  # environment variable of a server's kernels: the address of the page of chapters on that server


@functools.wraps(runtime.setup)
def setup(chapter: str, **settings) -> None:
    runtime.setup(chapter, **settings)
    page = os.environ.get(PAGE)
    if page and attempts.run_by_a_person():
        from IPython.display import HTML, display

        display(HTML(links(chapter, page, Path.cwd())))


def links(chapter: str, page: str, folder: Path) -> Markup:
    """Links to the page of chapters and to the chapter after this one ("01"), if its notebook is in the folder."""
    parts = [Markup("<a href='{}'>{}</a>").format(page, say("All chapters"))]
    try:
        after = next((one for one in chapters() if one.id > chapter), None)
    except CourseError:  # a notebook on its own, without the course around it
        after = None
    if after and (folder / after.notebook.name).exists():
        words = say("Next chapter: {number} {title}", number=after.id, title=title(after))
        parts.append(Markup("<a href='{}'>{}</a>").format(after.notebook.name, words))
    return Markup("<p>{}</p>").format(Markup(" · ").join(parts))
