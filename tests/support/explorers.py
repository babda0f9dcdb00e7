"""Every explorer of the course on small data, by name: what the browser tests and the bench of the latency show."""

import torch

import fewshot_lab as lab
from fewshot_lab.data import episodes, glosses, sentences, strokes
from fewshot_lab.evidence import budget
from fewshot_lab.methods import name_lookup
from fewshot_lab.methods.flow_matching import Flow
from fewshot_lab.methods.label_preservation import measure_label_preservation
from fewshot_lab.methods.made_up_tables import TableTransformer
from fewshot_lab.methods.supervised import fit_classifier
from fewshot_lab.models import language
from fewshot_lab.models.generative import Generator, Velocity
from fewshot_lab.training import Estimate


def flat(images):
    return images.flatten(1).float() / 255


def kept(before, after, classes):
    return torch.stack([(after[before == label] == label).float().mean().nan_to_num() for label in range(classes)])


def label():
    task, model = lab.data.load("digits"), fit_classifier("digits", seed=0, steps=60)
    return lab.widgets.LabelExplorer(measure_label_preservation(model, task, kept, device="cpu"))


def episode():
    pools = {jitter: episodes.glyph_pool("test", jitter=jitter) for jitter in ("mild", "none")}
    return lab.widgets.EpisodeExplorer(pools, {"constant": lambda images: torch.ones(len(images), 2), "pixels": flat})


def embedding():
    task = lab.data.load("digits")
    images = task.test_images[:60]
    features = {"random": torch.randn(60, 4), "pixels": flat(images)}
    return lab.widgets.EmbeddingExplorer(images, task.test_labels[:60], task.classes, features)


def temperature():
    task = lab.data.load("digits")
    return lab.widgets.TemperatureExplorer(task, 3 * torch.randn(len(task.test_labels), 10))


def attack():
    models = {f"seed {seed}": fit_classifier("digits", seed=seed, steps=60) for seed in (0, 1)}
    return lab.widgets.AttackExplorer(lab.data.load("digits"), models, epsilon=0.1)


def latent():
    shown = lab.widgets.LatentExplorer(Generator(10, size=8).eval(), "0123456789")
    for name in ("mixture", "turn"):
        shown.controls[name].value = 0.5  # in the middle every control can be seen to change the image
    return shown


def flow():
    shown = lab.widgets.FlowExplorer(Flow(Velocity(10, size=8).eval()), "0123456789")
    shown.controls["time"].value = 0.5
    return shown


def prompt():
    tokenizer, model = language.smollm2("cpu")
    return lab.widgets.PromptExplorer(tokenizer, model, glosses.task(), "Definition: {x}\nType:", texts=2)


def words():
    torch.manual_seed(0)
    images = torch.randint(256, (20, 3, 16, 16), dtype=torch.uint8)
    vectors = {maker: torch.nn.functional.normalize(torch.randn(20, 4), dim=1) for maker in ("one", "other")}

    def embed(text):
        spelled = torch.Generator().manual_seed(sum(map(ord, text)))
        return torch.nn.functional.normalize(torch.randn(4, generator=spelled), dim=0)

    pictures = {maker: (images, z) for maker, z in vectors.items()}
    return lab.widgets.WordExplorer(embed, pictures, [f"thing {i}" for i in range(20)])


def entity():
    task = sentences.task()
    some = task.test[:60]
    found = [name_lookup.lookup(task.train, sentence.words) for sentence in some]
    clumsy = [tuple("O" if i == 0 else tag.replace("ORG", "PER") for i, tag in enumerate(s.tags)) for s in some]
    return lab.widgets.EntityExplorer(some, {"clumsy": clumsy, "looks up": found})


def context():
    torch.manual_seed(0)
    return lab.widgets.ContextExplorer(TableTransformer().state_dict())


def budgets():
    def arm(*means):
        return budget.MeasuredArm((20, 50, 200), tuple(Estimate(m, m - 0.02, m + 0.02, 5) for m in means), (6.0, 12.0, 18.0))

    return lab.widgets.BudgetExplorer({"labels only": arm(0.6, 0.7, 0.9), "augmentation": arm(0.7, 0.8, 0.9)}, 10)


def prices():
    def offer(seconds, *means):
        accuracies = tuple(Estimate(m, m - 0.02, m + 0.02, 5) for m in means)
        return budget.MeasuredArm((20, 50, 200), accuracies, (seconds, 2 * seconds, 3 * seconds))

    return lab.widgets.PriceExplorer({"class means": offer(0.001, 0.6, 0.7, 0.75), "network": offer(0.8, 0.5, 0.8, 0.9)})


def hand():
    digits = lab.data.load("digits").test_images[:25]
    return lab.widgets.HandExplorer(strokes.load(), torch.nn.functional.interpolate(digits, (28, 28)), None)


EXPLORERS = {
    "geometry": lambda: lab.widgets.GeometryExplorer("digits"),
    "symmetry": lambda: lab.widgets.SymmetryExplorer(),
    "label": label,
    "policy": lambda: lab.widgets.PolicyExplorer("digits"),
    "text": lambda: lab.widgets.TextExplorer(glosses.task()),
    "marker": lambda: lab.widgets.LabelMarker(["a dog", "a cat", "a tree"], ["animal", "animal", "plant"]),
    "picture marker": lambda: lab.widgets.PictureMarker(lab.data.load("digits").test_images[:16], "0123456789012345"),
    "embedding": embedding,
    "episode": episode,
    "temperature": temperature,
    "attack": attack,
    "latent": latent,
    "flow": flow,
    "prompt": prompt,
    "words": words,
    "entity": entity,
    "budget": budgets,
    "price": prices,
    "hand": hand,
    "context": context,
}
