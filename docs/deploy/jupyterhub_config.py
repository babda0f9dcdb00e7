"""JupyterHub for a class: docs/hub.md explains it, and tests/browser/test_hub.py runs this file as it stands."""

import grp
import os
import pwd
import shutil
import sys
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner

ROOT = Path("/srv/fewshot-lab")  # in it: course/ (the clone with its .venv), cache/, hand-in/, hub/
LEARNERS, GRADERS = "learners", "graders"  # groups of the system: who may log in, who reads what is handed in

c = get_config()  # noqa: F821  (JupyterHub gives it to this file)

# Only this machine reaches the hub: a web server with a certificate stands in front of it.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.db_url = f"sqlite:///{ROOT}/hub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{ROOT}/hub/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = f"{ROOT}/hub/proxy.pid"
c.ConfigurableHTTPProxy.command = f"{sys.prefix}/proxy/node_modules/.bin/configurable-http-proxy"  # by `make hub`

# Accounts are those of the system, with their passwords (PAM).
c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.allowed_groups = {LEARNERS, GRADERS}
c.PAMAuthenticator.admin_groups = {GRADERS}  # they may stop a server, which does not let them into it
c.PAMAuthenticator.open_sessions = False  # a session belongs to a log-in at a terminal

# One environment for all: that of the hub. The server of a user is `fewshot-lab lab`.
c.JupyterHub.spawner_class = LocalProcessSpawner
c.Spawner.cmd = [f"{sys.prefix}/bin/fewshot-lab", "lab"]
# A login shell would set another PATH, without the command `fewshot-lab`.
c.Spawner.args = ["--ServerApp.terminado_settings={'shell_command': ['/bin/bash']}"]
c.Spawner.default_url = "/fewshot-lab"
c.Spawner.start_timeout = c.Spawner.http_timeout = 120  # at the beginning of a lesson all start at once
c.Spawner.environment = {
    "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "FEWSHOT_LAB_COURSE": f"{ROOT}/course",
    "FEWSHOT_LAB_SHARED": f"{ROOT}/cache",
    "FEWSHOT_LAB_OWN": "~/fewshot-lab",
    "FEWSHOT_LAB_HAND_IN": lambda spawner: str(hand_in(spawner.user.name)),
    "FEWSHOT_LAB_JOBS": "1",  # the others of the class need the cores too
}


def hand_in(name: str) -> Path:
    """The folder that a user hands in to."""
    return ROOT / "hand-in" / name


def prepare(spawner) -> None:
    """Before a user's server starts, as root: closes the home to others, makes a learner's folder to hand in to."""
    user, graders = pwd.getpwnam(spawner.user.name), grp.getgrnam(GRADERS).gr_gid
    os.chmod(user.pw_dir, 0o700)
    folder = hand_in(user.pw_name)
    # Graders get none: each folder stands for a student.
    if graders not in os.getgrouplist(user.pw_name, user.pw_gid) and not folder.exists():
        folder.mkdir(mode=0o700)
        shutil.chown(folder, user.pw_uid, graders)
        # The user writes, graders read, nobody else gets in. setgid: what is put there belongs to the graders' group.
        folder.chmod(0o2750)


c.Spawner.pre_spawn_hook = prepare
