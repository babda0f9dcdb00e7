"""A real JupyterHub for a class of real accounts, as docs/deploy/jupyterhub_config.py starts it, that leaves no trace.

It runs in mount and process namespaces of its own: there /srv and the lists of accounts are others, and when the outermost
process ends, all end. That needs root's rights. Run as a program, this file sets the namespaces up and becomes the hub.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from browser import WAIT, Notebook
from places import ROOT

from fewshot_lab.files import home

PROXY = Path(sys.prefix, "proxy/node_modules/.bin/configurable-http-proxy")
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
FIRST_ID = 64_100  # of users and groups; Debian gives accounts 1,000 to 60,000


def missing() -> str:
    """What a hub of real accounts needs and this machine lacks, and how to get it; empty where all is there."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root's rights: the learners are accounts of their own"
    if not PROXY.exists():
        return f"needs configurable-http-proxy in {PROXY}: make hub (with npm)"
    if lacking := [name for name in ("unshare", "nsenter", "setpriv", "openssl") if not shutil.which(name)]:
        return f"needs {', '.join(lacking)}"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    return f"needs namespaces: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(frozen=True)
class Hub:
    """A running hub: its address, the folder that is its /srv, the number of a process in it, the accounts' passwords."""

    address: str
    srv: Path
    process: int
    passwords: dict[str, str]

    def run(self, user: str, *words: str, **options) -> subprocess.CompletedProcess:
        """Runs a command in the hub's namespaces as one of its users, in the user's home; returns what it printed."""
        home_of = Path("/proc", str(self.process), "root", "srv", "home", user)
        within = ["nsenter", f"--target={self.process}", "--mount", "--pid", f"--wd={home_of}"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        environment = os.environ | {"HOME": f"/srv/home/{user}", "USER": user}
        command = [*within, *become, *words]
        return subprocess.run(command, env=environment, capture_output=True, timeout=120, **({"text": True} | options))


@contextlib.contextmanager
def served(members: dict[str, str]) -> Iterator[Hub]:
    """Starts a hub with the accounts {name: group, "learners" or "graders"}; ends it and removes all afterwards.

    The course is a copy, since it is updated in the test; the cache is this machine's, which nobody can write to there.
    """
    box = Path(tempfile.mkdtemp(prefix="fewshot-lab-hub-"))  # not pytest's own folder, which is closed to others
    box.chmod(0o755)
    srv, log = box / "srv", box / "hub.log"
    try:
        for folder in ("course", "cache", "hand-in", "hub"):
            (srv / "fewshot-lab" / folder).mkdir(parents=True)
        (srv / "fewshot-lab" / "hub").chmod(0o700)
        shutil.copytree(ROOT / "notebooks", srv / "fewshot-lab" / "course" / "notebooks")
        passwords = _write_accounts(box, srv, members)
        ports = _free_ports(3)
        with log.open("w") as file:
            # All ends with the tests, also where these are killed.
            command = [
                "setpriv",
                "--pdeathsig",
                "KILL",
                *UNSHARE,
                sys.executable,
                __file__,
                str(box),
                str(home()),
                *map(str, ports),
            ]
            process = subprocess.Popen(command, cwd=box, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{ports[0]}"
            _wait_for(address, process, log)
            [inner] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield Hub(address, srv, int(inner), passwords)
        except BaseException:
            print(log.read_text()[-8000:])
            raise
        finally:
            process.kill()  # unshare kills what it started, the first process of a namespace, and the system all others there
            process.wait(30)
    finally:
        shutil.rmtree(box, ignore_errors=True)


def _write_accounts(box: Path, srv: Path, members: dict[str, str]) -> dict[str, str]:
    """Writes the machine's lists of accounts with these added, and makes the homes; returns the passwords."""
    groups = {name: FIRST_ID + i for i, name in enumerate((*members, *dict.fromkeys(members.values())))}
    passwords = {name: f"{name}'s own word" for name in members}
    (box / "etc").mkdir()
    lines = {"passwd": [], "shadow": [], "group": []}
    for name in members:
        told = subprocess.run(["openssl", "passwd", "-6", passwords[name]], capture_output=True, text=True, check=True)
        lines["passwd"].append(f"{name}:x:{groups[name]}:{groups[name]}::/srv/home/{name}:/bin/bash")
        lines["shadow"].append(f"{name}:{told.stdout.strip()}:20000:0:99999:7:::")
        (srv / "home" / name).mkdir(parents=True)
        os.chown(srv / "home" / name, groups[name], groups[name])
    for group, number in groups.items():
        lines["group"].append(f"{group}:x:{number}:{','.join(name for name in members if members[name] == group)}")
    for name, added in lines.items():
        path = box / "etc" / name
        path.touch(mode=0o600 if name == "shadow" else 0o644)
        path.write_text(Path("/etc", name).read_text().rstrip("\n") + "\n" + "\n".join(added) + "\n")
    os.chown(srv / "fewshot-lab" / "hand-in", 0, groups["graders"])
    (srv / "fewshot-lab" / "hand-in").chmod(0o751)
    return passwords


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{address}/hub/health", timeout=10).ok:
                return
        if process.poll() is not None:
            break
        time.sleep(0.25)
    raise RuntimeError(f"JupyterHub did not start: {log.read_text()[-3000:]}")


class Opened(Notebook):
    """A notebook that a page has open already."""

    def __init__(self, page) -> None:
        self.page = page
        page.set_default_timeout(WAIT)
        self.wait_until_open()

    def write_below(self, source: str) -> str:
        """Runs a cell of one's own below the one used last, made by keys; returns what it printed."""
        for key in ("Escape", "b", "Enter"):
            self.page.keyboard.press(key)
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Control+Enter")
        self.wait()
        output = self.panel.locator(".jp-Cell.jp-mod-active .jp-Cell-outputWrapper")
        output.scroll_into_view_if_needed()
        return output.inner_text()


def _within(box: Path, cache: Path, port: str, hub_port: str, proxy_port: str) -> None:
    """In the new namespaces: puts everything in its place, and becomes the hub."""
    srv = box / "srv"
    _mount("--bind", "-o", "ro", cache, srv / "fewshot-lab" / "cache")
    for name in ("passwd", "shadow", "group"):
        _mount("--bind", box / "etc" / name, Path("/etc", name))
    _open_up([Path(sys.prefix), Path(sys.base_prefix), ROOT], box)
    _mount("--rbind", srv, Path("/srv"))
    os.chdir("/srv/fewshot-lab/hub")
    settings = {
        "JupyterHub.bind_url": f"http://127.0.0.1:{port}",
        "JupyterHub.hub_port": hub_port,
        "ConfigurableHTTPProxy.api_url": f"http://127.0.0.1:{proxy_port}",
        "Spawner.env_keep": "['PYTHONPATH']",
    }
    config = ROOT / "docs" / "deploy" / "jupyterhub_config.py"
    command = [sys.executable, "-m", "jupyterhub", f"--config={config}", *(f"--{key}={it}" for key, it in settings.items())]
    os.execv(sys.executable, command)


def _open_up(needed: list[Path], box: Path) -> None:
    """Lets every account reach these folders, also where one above is closed to others, as root's home is."""
    closed: dict[Path, list[Path]] = {}
    for path in needed:
        for folder in (*reversed(path.parents), path):
            if not folder.stat().st_mode & 0o001:
                closed.setdefault(folder, []).extend([path] if folder != path else path.iterdir())
                break
    for number, (folder, paths) in enumerate(closed.items()):
        aside = box / "aside" / str(number)
        aside.mkdir(parents=True)
        _mount("--rbind", folder, aside)
        _mount("-t", "tmpfs", "-o", "mode=755", "none", folder)  # an empty folder in its place, with what is needed in it
        for path in dict.fromkeys(paths):
            path.mkdir(parents=True)
            _mount("--rbind", aside / path.relative_to(folder), path)


def _mount(*words) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


if __name__ == "__main__":
    _within(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
