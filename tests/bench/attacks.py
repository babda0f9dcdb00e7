"""Rows of `make bench` for chapter 07: robust accuracy under PGD-20 and one PGD attack, against torchattacks and foolbox."""

import functools
from importlib.metadata import version

from measure import one_thread, row, seconds

EPSILON, STEPS, STEP_SIZE = 0.05, 20, 0.00625
APART = 0.005  # the robust accuracies must agree within half a point


@functools.cache
def model_and_images():
    """A robust network (400 adversarial steps on glyphs) and all 672 test images, float, with their labels."""
    from fewshot_lab import data
    from fewshot_lab.methods.adversarial import fit_robust

    options = {"method": "adversarial", "epsilon": EPSILON, "inner_steps": 2, "steps": 400, "test_epsilon": None}
    model = fit_robust("glyphs", seed=0, device="cpu", **options)["model"].eval()
    task = data.load("glyphs")
    return model, task.test_images.float() / 255, task.test_labels


def torchattacks_pgd(model, images, labels, start):
    """torchattacks' PGD from `start`: its own random start is switched off, ours is handed in as the first image."""
    import torchattacks

    class FromStart(torchattacks.PGD):
        """The loop of torchattacks 3.5.1, word for word, but for the place where it begins."""

        def forward(self, images, labels):
            import torch

            loss, moved = torch.nn.CrossEntropyLoss(), start.clone().detach()
            for _ in range(self.steps):
                moved.requires_grad = True
                cost = loss(self.get_logits(moved), labels)
                grad = torch.autograd.grad(cost, moved, retain_graph=False, create_graph=False)[0]
                moved = moved.detach() + self.alpha * grad.sign()
                delta = torch.clamp(moved - images, min=-self.eps, max=self.eps)
                moved = torch.clamp(images + delta, min=0, max=1).detach()
            return moved

    if start is images:
        return torchattacks.PGD(model, EPSILON, STEP_SIZE, STEPS, random_start=False)(images, labels)
    return FromStart(model, EPSILON, STEP_SIZE, STEPS, random_start=False)(images, labels)


def foolbox_pgd(model, images, labels, start):
    """foolbox's LinfPGD from `start`."""
    import foolbox

    class FromStart(foolbox.attacks.LinfPGD):
        def get_random_start(self, x0, epsilon):
            import eagerpy

            return x0 if start is images else eagerpy.astensor(start)

    attack = FromStart(abs_stepsize=STEP_SIZE, steps=STEPS, random_start=True)
    found = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    return attack(found, images, labels, epsilons=EPSILON)[1]


def our_pgd(model, images, labels, start):
    from fewshot_lab.methods.attacks import frozen, pgd, reading_loss

    with frozen(model):
        return pgd(reading_loss(model, labels), images, start, EPSILON, STEP_SIZE, STEPS)


def robust_share(model, images, labels) -> float:
    from fewshot_lab.methods.attacks import reads

    return reads(model, images, labels).float().mean().item()


def same_attack(peer_name: str, peer_pgd) -> dict:
    """The whole attack on all images, from the same random start; both leave the same share of images."""
    import torch

    from fewshot_lab.methods.attacks import random_start

    model, images, labels = model_and_images()
    start = random_start(images, EPSILON, generator=torch.Generator().manual_seed(0))
    found = {}

    def ours() -> None:
        found["ours"] = our_pgd(model, images, labels, start)

    def peers() -> None:
        found["peer"] = peer_pgd(model, images, labels, start)

    name = f"PGD-{STEPS} on {len(images)} glyphs, one thread"
    measured = row(name, peer_name, "s", lambda: seconds(ours), lambda: seconds(peers))
    _agree(*(robust_share(model, found[side], labels) for side in ("ours", "peer")))
    return measured


def same_accuracy(peer_name: str, peer_pgd) -> dict:
    """Robust accuracy as a number: ours leaves alone the images that are misread as they are. Both start at the image."""
    from fewshot_lab.methods.attacks import survives

    model, images, labels = model_and_images()
    found = {}

    def ours() -> None:
        options = {"epsilon": EPSILON, "steps": STEPS, "step_size": STEP_SIZE, "random": False}
        found["ours"] = survives(model, images, labels, **options).float().mean().item()

    def peers() -> None:
        found["peer"] = robust_share(model, peer_pgd(model, images, labels, images), labels)

    name = f"robust accuracy under PGD-{STEPS}, {len(images)} glyphs, one thread"
    measured = row(name, peer_name, "s", lambda: seconds(ours), lambda: seconds(peers))
    _agree(found["ours"], found["peer"])
    return measured


def _agree(ours: float, peer: float) -> None:
    if abs(ours - peer) > APART:
        raise RuntimeError(f"Robust accuracy is {ours:.4f} with ours and {peer:.4f} with the peer's; they should agree.")


def against(name: str, attack, measure) -> dict:
    return one_thread(lambda: measure(f"{name} {version(name)}", attack))


ROWS = {
    "PGD torchattacks": lambda: against("torchattacks", torchattacks_pgd, same_attack),
    "PGD foolbox": lambda: against("foolbox", foolbox_pgd, same_attack),
    "robust accuracy torchattacks": lambda: against("torchattacks", torchattacks_pgd, same_accuracy),
    "robust accuracy foolbox": lambda: against("foolbox", foolbox_pgd, same_accuracy),
}
