"""How the course starts kernels, quietly and with profile and device in their environment, and how it ends them."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = ["--log-level=CRITICAL"]  # a kernel's log goes to the terminal; a chapter's errors are in its notebook


@contextmanager
def kernel_environment(profile: str, device: str) -> Iterator[None]:
    """Sets what kernels started meanwhile find in their environment, and puts it back afterwards."""
    ours = {"FEWSHOT_LAB_PROFILE": profile, "FEWSHOT_LAB_DEVICE": device, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """Meanwhile being told to end (SIGTERM, SIGHUP) raises KeyboardInterrupt, so that kernels are shut down."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    names = [name for name in ("SIGTERM", "SIGHUP") if in_main_thread and hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), signal.default_int_handler) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
