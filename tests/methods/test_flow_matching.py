"""Flow matching: the path and Euler's steps against closed forms, guidance by its laws, training by effect; its explorer."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import fewshot_lab as lab
from fewshot_lab.methods import generated_instances, generation
from fewshot_lab.methods.flow_matching import Flow, euler_step, fit_flow, flow_loss, flow_pair, guided_velocity, paths
from fewshot_lab.methods.generation_quality import fit_evaluator, quality
from fewshot_lab.models import Discriminator, Generator, Velocity
from fewshot_lab.training import train

seeds = st.integers(0, 10**6)
laws = settings(max_examples=30)


def normal(seed, *shape):
    """Random normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def followed(velocity, x, steps):
    """Where Euler's steps end that begin at x and t = 0, and at which time."""
    t = 0.0
    for _ in range(steps):
        x, t = euler_step(x, velocity(x, t), t, 1 / steps)
    return x, t


# the path


@given(seeds)
@laws
def test_the_path_begins_at_the_noise_ends_at_the_image_and_has_its_velocity(seed):
    noise, images = normal(seed, 5, 1, 3, 3), normal(seed + 1, 5, 1, 3, 3)
    assert torch.equal(flow_pair(noise, images, torch.zeros(5).double())[0], noise)
    assert torch.equal(flow_pair(noise, images, torch.ones(5).double())[0], images)
    t = torch.rand(5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    x, velocity = flow_pair(noise, images, t)
    slopes = torch.stack([torch.autograd.grad(x[..., i, j].sum(), t, retain_graph=True)[0] for i in range(3) for j in range(3)])
    assert torch.allclose(slopes.T, velocity.flatten(1))


# Euler's steps


def test_a_constant_velocity_is_followed_exactly_and_the_last_step_ends_at_1():
    x, v = normal(0, 3, 2), normal(1, 3, 2)
    for steps in (1, 3, 7, 10):
        end, t = followed(lambda x, t: v, x, steps)
        assert torch.allclose(end, x + v) and t == pytest.approx(1)
    assert euler_step(x, v, 0.9, 0.25)[1] == pytest.approx(1)
    assert torch.allclose(euler_step(x, v, 0.9, 0.25)[0], x + 0.1 * v)


def test_euler_converges_with_first_order_to_the_exponential():
    x = torch.ones(1, dtype=torch.float64)
    errors = [abs(followed(lambda x, t: x, x, steps)[0].item() - torch.e) for steps in (50, 100, 200)]
    assert errors[1] / errors[0] == pytest.approx(0.5, abs=0.02) and errors[2] / errors[1] == pytest.approx(0.5, abs=0.02)


@given(seeds, st.floats(-2, 2), st.floats(0.2, 2))
@laws
def test_the_exact_velocity_of_a_gaussian_carries_noise_to_it(seed, mean, deviation):
    """E[x_1 - x_0 | x_t] is linear for a Gaussian x_1; its flow is x_0 -> mean + deviation x_0."""

    def velocity(x, t):
        slope = (t * deviation**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * deviation**2)
        return mean + slope * (x - t * mean)

    noise = normal(seed, 20)
    end, _ = followed(velocity, noise, 400)
    assert torch.allclose(end, mean + deviation * noise, atol=0.05)


def test_the_exact_velocity_of_one_image_leads_to_it_and_has_no_loss():
    image = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x_1 = 2 * image - 1

    class Exact(torch.nn.Module):
        classes = 3

        def forward(self, x, t, y):
            return (x_1 - x) / (1 - t[:, None, None, None])

    end, _ = followed(lambda x, t: Exact()(x, torch.full((6,), t), None), torch.randn(6, 1, 4, 4), 20)
    assert torch.allclose(end, x_1.expand(6, -1, -1, -1), atol=1e-4)
    torch.manual_seed(0)
    assert flow_loss(Exact(), image.expand(40, -1, -1, -1), torch.zeros(40).long()).item() < 1e-6


# guidance


@given(seeds, st.floats(0, 5))
@laws
def test_guidance_of_1_is_the_class_of_0_none_and_more_is_the_papers(seed, weight):
    conditional, unconditional = normal(seed, 4, 1, 2, 2), normal(seed + 1, 4, 1, 2, 2)
    assert torch.allclose(guided_velocity(conditional, unconditional, 1.0), conditional)
    assert torch.equal(guided_velocity(conditional, unconditional, 0.0), unconditional)
    w = weight - 1  # in the paper
    assert torch.allclose(
        guided_velocity(conditional, unconditional, weight), (1 + w) * conditional - w * unconditional, atol=1e-9
    )


def test_a_share_of_the_labels_is_hidden_from_the_network():
    seen = []

    class Spy(torch.nn.Module):
        classes = 4

        def forward(self, x, t, y):
            seen.append(y)
            return torch.zeros_like(x)

    labels = torch.arange(4000) % 4
    torch.manual_seed(0)
    flow_loss(Spy(), torch.rand(4000, 1, 2, 2), labels, dropped=0.25)
    flow_loss(Spy(), torch.rand(4000, 1, 2, 2), labels, dropped=0.0)
    hidden = seen[0].sum(dim=1) == 0
    assert 0.22 < hidden.float().mean() < 0.28
    assert torch.equal(seen[0][~hidden].argmax(dim=1), labels[~hidden])
    assert torch.equal(seen[1].argmax(dim=1), labels)


def test_a_flow_without_guidance_follows_the_class_alone():
    torch.manual_seed(0)
    net = Velocity(3, size=4)
    z, y = torch.randn(5, 16), F.one_hot(torch.tensor([0, 1, 2, 0, 1]), 3).float()
    end, _ = followed(lambda x, t: net(x, torch.full((5,), t), y), z.unflatten(1, (1, 4, 4)), 8)
    flow = Flow(net, steps=8)
    assert torch.allclose(flow(z, y), ((end + 1) / 2).clamp(0, 1), atol=1e-5)
    path = flow.path(z, y)
    assert path.shape == (9, 5, 1, 4, 4) and torch.allclose(path[0], (z.reshape(5, 1, 4, 4) + 1) / 2)
    assert not torch.allclose(flow.path(z, y, 3.0)[-1], path[-1])


# training


def test_the_network_is_about_as_large_as_a_gans_two_players():
    def size(*networks):
        return sum(weight.numel() for net in networks for weight in net.parameters())

    for side in (8, 14):
        players = Generator(10, size=side), Discriminator(10, size=side, score=generation.projection_score)
        assert 0.75 < size(Velocity(10, size=side)) / size(*players) < 1.25


def test_a_flow_that_learns_one_image_draws_it():
    image = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    net, labels = Velocity(2, size=4), torch.zeros(64).long()
    recipe = {"learning_rate": 2e-3, "warmup": 0, "optimizer": torch.optim.AdamW, "device": "cpu"}
    train(net, image.expand(64, -1, -1, -1), labels, steps=400, loss=flow_loss, **recipe)
    ends = paths(Flow(net), 0, 20, weight=1.0)[-1]
    assert (ends - image).abs().mean() < 0.05 and ends.std(dim=0).max() < 0.15


def test_equal_seeds_train_equal_flows_whatever_was_drawn_before():
    def trained(seed):
        torch.rand(seed + 3)
        return fit_flow("digits", seed=seed, steps=5, device="cpu")["generator"]

    first, other, again = (torch.cat([p.flatten() for p in trained(seed).parameters()]) for seed in (0, 1, 0))
    assert torch.equal(first, again) and not torch.equal(first, other)
    flow = trained(0)
    assert torch.equal(paths(flow, 3, 2, weight=2.0, seed=5), paths(flow, 3, 2, weight=2.0, seed=5))


def test_a_flow_learns_from_the_labels_of_the_gan_and_gives_a_generated_set(monkeypatch):
    learned = []
    monkeypatch.setattr("fewshot_lab.methods.flow_matching.train", lambda net, x, y, **_: learned.append((x, y)))
    options = {"shots": 3, "seed": 4, "steps": 1, "device": "cpu"}
    row = generated_instances.fit_generated_set("digits", kind="flow", per_class=2, **options)
    images, labels, _ = generation.training_images("digits", 3, 4)
    assert torch.equal(learned[0][0], images) and torch.equal(learned[0][1], labels)
    assert row["generated"].shape == (10, 2, 1, 8, 8) and row["generated"].dtype == torch.uint8


@pytest.mark.slow
def test_the_flow_draws_every_class_varied_and_with_guidance_recognisably():
    evaluator = fit_evaluator("digits", seed=0, steps=150, strength=0.25, device="cpu")["evaluator"]
    fitted = fit_flow("digits", seed=0, steps=1500, device="cpu")
    found = {}
    for fitted["generator"].weight in (1.0, 1.5):
        images, labels = generation.sample(fitted["generator"], 40)
        assert images.shape == (400, 1, 8, 8) and 0 <= images.min() and images.max() <= 1
        found[fitted["generator"].weight] = quality(evaluator, images, labels, generation.halves("digits")[1])
    assert found[1.0]["intended"] + 0.05 < found[1.5]["intended"] and found[1.5]["intended"] > 0.8
    assert found[1.5]["spread"] > 0.6 and found[1.5]["recall"] > 0.5
    assert found[1.5]["spread"] < found[1.0]["spread"], "guidance pays in variety"
    assert fitted["history"].at_rest


# the explorer


@pytest.fixture(scope="module")
def shown():
    torch.manual_seed(0)
    return lab.widgets.FlowExplorer(Flow(Velocity(3, size=4).eval(), steps=8), "abc")


def test_every_control_of_the_flow_explorer_changes_what_is_seen_and_it_has_a_still(shown, every_control_answers):
    every_control_answers(shown)


def test_the_flow_explorer_shows_the_paths_of_its_class_and_guidance(shown):
    shown.controls["label"].value, shown.controls["weight"].value = "b", 2.0
    shown.controls["time"].value, shown.controls["seed"].value = 0.5, 3
    expected = paths(shown.flow, 1, 9, weight=2.0, seed=0)
    assert torch.allclose(shown.chosen(), expected[4, 3], atol=1e-5)
    shown.controls["time"].value = 0.0
    assert torch.equal(shown.chosen(), expected[0, 3])
    for name, value in {"label": "a", "weight": 1.0, "time": 1.0, "seed": 0}.items():
        shown.controls[name].value = value
