"""One progress bar for terminal and notebook; what stays in a saved notebook is one line of text."""

import io
import sys
import time
from collections.abc import Iterable, Sized

from markupsafe import Markup
from tqdm.std import tqdm

from ..languages import say


def progress_bar(iterable_or_total: Iterable | int, description: str) -> tqdm:
    """A tqdm bar over an iterable, or over a number of steps to be reported by `update()`; `description` names the
    items.

    In a terminal it is tqdm's own bar, in a notebook an HTML bar that one line of text replaces at the end ("30
    trainings in 12.3 s"), elsewhere (a log, a worker process) it is silent. Use it as an iterator or in a with
    statement.
    """
    description = say(description)
    by_total = isinstance(iterable_or_total, int)
    options = {"total": iterable_or_total} if by_total else {"iterable": iterable_or_total}
    if not by_total and isinstance(iterable_or_total, Sized):
        options["total"] = len(iterable_or_total)
    if _in_kernel():
        return NotebookBar(desc=description, mininterval=0.2, file=io.StringIO(), **options)
    return tqdm(desc=description, mininterval=0.2, disable=not sys.stderr.isatty(), **options)


class NotebookBar(tqdm):
    """A tqdm whose picture is an HTML progress element in a notebook, updated in place and replaced by text at the end."""

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
        if self._ended:
            return
        self._ended = True
        super().close()
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
