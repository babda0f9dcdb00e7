"""LoRA against the formula, against what it must not change, and against the library peft."""

import pytest
import torch
from torch import nn

from fewshot_lab.errors import CourseError
from fewshot_lab.methods import lora


def small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    block = nn.ModuleDict({"q_proj": nn.Linear(6, 6), "v_proj": nn.Linear(6, 3, bias=False), "o_proj": nn.Linear(9, 2)})

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = block

        def forward(self, x):
            q, v = self.attention["q_proj"](x), self.attention["v_proj"](x)
            return self.attention["o_proj"](torch.cat([q.tanh(), v], dim=-1))

    return Block()


X = torch.linspace(-1, 1, 30).reshape(5, 6)


def learned(module: nn.Module, steps: int = 20) -> nn.Module:
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        (module(X) - 1).square().mean().backward()
        optimizer.step()
    return module


def test_the_adapted_model_starts_as_the_model_and_learns_in_its_new_matrices_alone():
    module = small()
    before, weights = module(X), {name: p.clone() for name, p in module.named_parameters()}
    layers = lora.add_lora(module, 2)
    assert len(layers) == 2 and torch.equal(module(X), before)
    learned(module)
    assert not torch.allclose(module(X), before, atol=1e-2)
    now = dict(module.named_parameters())
    assert {name for name, p in now.items() if p.requires_grad} == {
        f"attention.{layer}.{matrix}" for layer in ("q_proj", "v_proj") for matrix in "AB"
    }
    assert all(
        torch.equal(now[name.replace("_proj.", "_proj.linear.") if "o_" not in name else name], p)
        for name, p in weights.items()
    )


def test_a_merged_layer_gives_what_the_adapted_one_gives():
    module = small()
    layers = lora.add_lora(module, 2, alpha=3.0)
    learned(module)
    for layer in layers:
        x = torch.randn(2, 4, 6)
        assert torch.allclose(layer.merged()(x), layer(x), atol=1e-6)
        assert torch.linalg.matrix_rank(layer.merged().weight - layer.linear.weight, atol=1e-6) <= 2


def test_the_share_that_learns_is_that_of_the_new_matrices():
    module = small()
    assert lora.trainable_share(module) == 1
    lora.add_lora(module, 2)
    new, old = 2 * (6 + 6) + 2 * (6 + 3), (36 + 6) + 18 + (18 + 2)
    assert lora.trainable_share(module) == new / (new + old)


def test_a_change_twice_as_large_comes_from_twice_alpha_and_less_of_each_from_more_ranks():
    x, W = torch.randn(4, 3), torch.zeros(2, 3)
    A, B = torch.randn(2, 3), torch.randn(2, 2)
    once = lora.lora_linear(x, W, A, B, 1.0)
    assert torch.allclose(lora.lora_linear(x, W, A, B, 2.0), 2 * once)
    doubled = lora.lora_linear(x, W, torch.cat([A, A]), torch.cat([B, B], dim=1), 1.0)
    assert torch.allclose(doubled, once, atol=1e-6), "twice the same ranks at half the scale"
    assert torch.allclose(once, x @ lora.merged_weight(W, A, B, 1.0).T, atol=1e-6)


def test_the_same_seed_draws_the_same_matrices():
    one, two, other = (lora.add_lora(small(), 2, seed=seed)[0].A for seed in (0, 0, 1))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_what_cannot_be_is_said():
    with pytest.raises(CourseError, match="rank must be 1 to 3"):
        lora.add_lora(small(), 4)
    with pytest.raises(CourseError, match="No linear layer is called k_proj"):
        lora.add_lora(small(), 2, names=["k_proj"])


def test_it_learns_what_peft_learns():
    peft = pytest.importorskip("peft", reason="peft is not installed: pip install peft")
    ours, theirs = small(), small()
    layers = lora.add_lora(ours, 2, alpha=4.0)
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=list(lora.ATTENTION), lora_dropout=0.0, bias="none")
    theirs = peft.get_peft_model(theirs, config)
    adapted = [module for module in theirs.modules() if hasattr(module, "lora_A")]
    for mine, other in zip(layers, adapted, strict=True):
        other.lora_A["default"].weight.data = mine.A.data.clone()
        assert torch.equal(other.lora_B["default"].weight, mine.B)
    for module in (ours, theirs):
        learned(module)
    assert torch.allclose(ours(X), theirs(X), atol=1e-5)
    for mine, other in zip(layers, adapted, strict=True):
        assert torch.allclose(mine.merged().weight - mine.linear.weight, other.get_delta_weight("default"), atol=1e-5)
