"""One progress bar for terminal and notebook; what stays in a saved notebook is one line of text."""

import io
import sys
import time
from collections.abc import Iterable, Sized

from markupsafe import Markup
from tqdm.std import tqdm

from ..languages import say


def progress_bar(iterable_or_total: Iterable | int, description: str) -> tqdm:
    """A tqdm bar over an iterable, or over a number of steps that `update()` reports; use it as an iterator or under `with`.

    In a terminal it is tqdm's own bar. In a notebook it is an HTML bar that is replaced by one line of text at the end ("30
    trainings in 12.3 s"). Elsewhere, in a log or a worker process, it is silent. `description` names what is counted.
    """
    description = say(description)
    by_total = isinstance(iterable_or_total, int)
    options = {"total": iterable_or_total} if by_total else {"iterable": iterable_or_total}
    if not by_total and isinstance(iterable_or_total, Sized):
        options["total"] = len(iterable_or_total)
    if _in_kernel():
        # tqdm also writes to a file, by default stderr, which a notebook shows on red; here it writes to a buffer.
        return NotebookBar(desc=description, mininterval=0.2, file=io.StringIO(), **options)
    return tqdm(desc=description, mininterval=0.2, disable=not sys.stderr.isatty(), **options)


class NotebookBar(tqdm):
    """A tqdm that shows an HTML progress element in a notebook, updated in place and replaced by text at the end.

    tqdm.notebook is not used: it leaves a widget in the saved notebook, which most viewers cannot show.
    """

    def __init__(self, *args, **options) -> None:
        self._handle = None
        self._ended = False
        self._began = time.perf_counter()
        super().__init__(*args, **options)

    def display(self, msg=None, pos=None) -> bool:
        if not self._ended:
            self._publish({"text/plain": self._line(), "text/html": self._picture()})
        return True

    def close(self) -> None:
        if self._ended:  # tqdm closes at the end of an iteration, when leaving `with`, and when it is deleted
            return
        self._ended = True
        super().close()  # before the last line: it draws the bar once more, which display() suppresses by now
        seconds = time.perf_counter() - self._began
        whole = self.total is None or self.n >= self.total
        given = {"count": self.n, "what": self.desc, "seconds": seconds}
        if whole:
            line = say("{count} {what} in {seconds:.1f} s", **given)
        else:
            line = say("{count} of {total} {what} in {seconds:.1f} s (stopped)", total=self.total, **given)
        self._publish({"text/plain": line})

    def _publish(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def _line(self) -> str:
        facts = self.format_dict
        rate = facts["rate"] or (self.n / facts["elapsed"] if self.n and facts["elapsed"] else None)
        left = say(", {seconds:.0f} s left", seconds=max(0.0, (self.total - self.n) / rate)) if self.total and rate else ""
        return f"{self.desc}: {self.n}{f'/{self.total}' if self.total else ''}{left}"

    def _picture(self) -> Markup:
        span = Markup(' max="{}" value="{}"').format(self.total, self.n) if self.total else ""
        picture = Markup('<progress aria-label="{}"{} style="width:40%"></progress> <span>{}</span>')
        return picture.format(self.desc, span, self._line())


def _in_kernel() -> bool:
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
