"""Rows of `make bench` for chapter 07: robust accuracy under PGD-20, against torchattacks and foolbox."""

import functools
from importlib.metadata import version

from measure import one_thread, row, seconds

EPSILON, STEPS, STEP_SIZE = 0.05, 20, 0.00625
APART = 0.005  # the robust accuracies must agree within half a point


@functools.cache
def model_and_images():
    """A robust network (400 adversarial steps on glyphs) and all test images, float, with their labels.

    Its weights ask for no gradient, so that the peers, which leave that to the caller, need not compute any either.
    """
    from fewshot_lab import data
    from fewshot_lab.methods.adversarial import fit_robust

    options = {"method": "adversarial", "epsilon": EPSILON, "inner_steps": 2, "passes": 1200, "test_epsilon": None}
    model = fit_robust("glyphs", seed=0, device="cpu", **options)["model"].eval().requires_grad_(False)
    task = data.load("glyphs")
    return model, task.test_images.float() / 255, task.test_labels


def torchattacks_pgd(model, images, labels):
    import torchattacks

    return torchattacks.PGD(model, EPSILON, STEP_SIZE, STEPS, random_start=False)(images, labels)


def foolbox_pgd(model, images, labels):
    import foolbox

    attack = foolbox.attacks.LinfPGD(abs_stepsize=STEP_SIZE, steps=STEPS, random_start=False)
    return attack(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), images, labels, epsilons=EPSILON)[1]


def robust_share(model, images, labels) -> float:
    from fewshot_lab.methods.attacks import is_correct

    return is_correct(model, images, labels).float().mean().item()


def same_accuracy(peer_name: str, peer_pgd) -> dict:
    """Robust accuracy as a number, from the same start, the image; ours sets images aside as soon as they are misread."""
    from fewshot_lab.methods.attacks import survives

    model, images, labels = model_and_images()
    found = {}

    def ours() -> None:
        options = {"epsilon": EPSILON, "steps": STEPS, "step_size": STEP_SIZE, "random": False}
        found["ours"] = survives(model, images, labels, **options).float().mean().item()

    def peers() -> None:
        found["peer"] = robust_share(model, peer_pgd(model, images, labels), labels)

    name = f"robust accuracy under PGD-{STEPS}, {len(images)} glyphs, one thread"
    measured = row(name, peer_name, "s", lambda: seconds(ours), lambda: seconds(peers))
    _agree(found["ours"], found["peer"])
    return measured


def _agree(ours: float, peer: float) -> None:
    print(f"robust accuracy: ours {ours:.4f}, peer {peer:.4f}")
    if abs(ours - peer) > APART:
        raise RuntimeError(f"Robust accuracy is {ours:.4f} with ours and {peer:.4f} with the peer's; they should agree.")


def against(name: str, attack) -> dict:
    return one_thread(lambda: same_accuracy(f"{name} {version(name)}", attack))


ROWS = {
    "robust accuracy torchattacks": lambda: against("torchattacks", torchattacks_pgd),
    "robust accuracy foolbox": lambda: against("foolbox", foolbox_pgd),
}
