"""Rows of `make bench` for chapter 05: episodes against easyfsl's loop with the same Conv-4, MAML against a loop over tasks.

The peer's Conv-4 has the same layers and weights in torch's default memory order, as its users write it; ours is `conv4`.
"""

import copy
from importlib.metadata import version

import torch
from measure import one_thread, row, seconds
from torch.utils.data import DataLoader, Sampler

from fewshot_lab.data import episodes as ep
from fewshot_lab.methods import maml, prototypes
from fewshot_lab.models import conv4, encoder_net
from fewshot_lab.training import mean_interval, train

WAY, SHOTS, QUERIES, COUNT = 5, 1, 10, 200


def pool() -> ep.Pool:
    """The test alphabets' classes that have a picture for every shot and query: the peer draws without repetition."""
    full = ep.glyph_pool("test", jitter="mild")
    enough = torch.bincount(full.labels) >= SHOTS + QUERIES
    kept, number = enough[full.labels], enough.cumsum(0) - 1
    names = [tuple(name for name, yes in zip(of, enough, strict=True) if yes) for of in (full.classes, full.groups)]
    return ep.Pool("glyphs, mild jitter", full.images[kept], number[full.labels[kept]], *names)


def tasks(images: ep.Pool, count: int) -> DataLoader:
    """easyfsl's loader of episodes. Its sampler passes `data_source` to torch's, which takes no argument any more."""
    from easyfsl.datasets import FewShotDataset
    from easyfsl.samplers import TaskSampler

    class Images(FewShotDataset):
        def __getitem__(self, row):
            return images.images[row].float() / 255, int(images.labels[row])

        def __len__(self):
            return len(images.images)

        def get_labels(self):
            return images.labels.tolist()

    before = Sampler.__init__
    Sampler.__init__ = lambda self, data_source=None: None
    try:
        sampler = TaskSampler(Images(), WAY, SHOTS, QUERIES, count)
    finally:
        Sampler.__init__ = before
    return DataLoader(Images(), batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn)


def peer_name() -> str:
    return f"easyfsl {version('easyfsl')}"


def as_users_write_it(encoder: torch.nn.Module) -> torch.nn.Module:
    """A copy of the encoder in torch's default memory order."""
    return copy.deepcopy(encoder).to(memory_format=torch.contiguous_format)


def trained(images: ep.Pool) -> torch.nn.Module:
    """A Conv-4 after a short training by episodes of the test alphabets themselves: the rows compare speed."""
    torch.manual_seed(0)
    encoder = conv4()
    fit(encoder, images, steps=60)
    return encoder.eval()


def fit(encoder: torch.nn.Module, images: ep.Pool, steps: int) -> None:
    episodes = ep.draw_episodes(images, steps, way=WAY, shots=SHOTS, queries=QUERIES, seed=0)

    def pictures(rows, labels, generator):
        return images.images[rows.flatten()].float() / 255, labels

    loss = prototypes.episode_loss(prototypes.prototype_rule, WAY, SHOTS)
    labels = episodes.query_labels.expand(steps, -1)
    recipe = {"learning_rate": 1e-3, "optimizer": torch.optim.AdamW}  # as the peer's
    train(encoder, episodes.rows, labels, steps=steps, batch_size=1, augment=pictures, loss=loss, device="cpu", **recipe)


def evaluation(cached: bool) -> dict:
    """COUNT test episodes; with `cached` our features are there already, which easyfsl has no way to use in its evaluation."""
    from easyfsl.methods import PrototypicalNetworks
    from easyfsl.utils import evaluate

    images, found = pool(), {}
    encoder = trained(images)
    features, drawn = prototypes.embed(encoder, images), iter(range(10**9))
    classifier, loader = PrototypicalNetworks(as_users_write_it(encoder)), tasks(images, COUNT)

    def ours() -> float:
        def work() -> None:
            rows = ep.draw_episodes(images, COUNT, way=WAY, shots=SHOTS, queries=QUERIES, seed=next(drawn))
            known = features if cached else prototypes.embed(encoder, images)
            found["ours"] = prototypes.episode_accuracies(known, rows)

        return seconds(work)

    def peer() -> float:
        def work() -> None:
            found["peer"] = evaluate(classifier, loader, device="cpu", use_tqdm=False)

        return seconds(work)

    what = "features cached" if cached else "embedding counted"
    name = f"{COUNT} test episodes, {WAY}-way {SHOTS}-shot {QUERIES} queries, Conv-4, {what}, one thread"
    measured = row(name, peer_name(), "s", ours, peer)
    estimate = mean_interval(found["ours"])
    half = estimate.high - estimate.mean  # of ours; the peer's mean of as many episodes has the same
    if abs(found["peer"] - estimate.mean) > 2 * half:
        raise RuntimeError(f"Ours reads {estimate}, the peer {found['peer']:.3f}: the two do not do the same.")
    return measured


def meta_training() -> dict:
    """Episodes a second of training, one episode a step, from the images in memory."""
    from easyfsl.methods import PrototypicalNetworks

    images, count = pool(), 40

    def ours() -> float:
        encoder = conv4()
        return count / seconds(lambda: fit(encoder, images, count))

    def peer() -> float:
        classifier = PrototypicalNetworks(as_users_write_it(conv4())).train()
        loader = tasks(images, count)
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-3)

        def work() -> None:
            for support, known, queries, wanted, _ in loader:
                optimizer.zero_grad()
                classifier.process_support_set(support, known)
                torch.nn.functional.cross_entropy(classifier(queries), wanted).backward()
                optimizer.step()

        return count / seconds(work)

    name = f"meta-training, {WAY}-way {SHOTS}-shot {QUERIES} queries, Conv-4, one thread"
    return row(name, peer_name(), "episodes/s", ours, peer)


def maml_tasks() -> dict:
    """One outer step of MAML over 16 tasks, two inner steps, all tasks at once against one after the other."""
    learner = maml.Learner(encoder_net(), WAY).eval()
    support, queries = torch.rand(16, WAY, SHOTS, 1, 28, 28), torch.rand(16, 2 * WAY, 1, 28, 28)
    labels = torch.arange(WAY).repeat(2).expand(16, -1)

    def step(loop: bool) -> float:
        def work() -> None:
            logits = maml.adapted_logits(learner, support, queries, steps=2, loop=loop)
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()

        return seconds(work)

    return row("MAML step, 16 tasks at once, one thread", "the same in a loop", "s", lambda: step(False), lambda: step(True))


ROWS = {
    "episodes, embedding counted": lambda: one_thread(lambda: evaluation(cached=False)),
    "episodes, features cached": lambda: one_thread(lambda: evaluation(cached=True)),
    "episodes, meta-training": lambda: one_thread(meta_training),
    "episodes, MAML": lambda: one_thread(maml_tasks),
}
