"""Chapter 09, LoRA: the adapted layer and its merging."""

import torch

from ..languages import say
from ..methods import lora
from .declare import exercise


def _matrices(generator, d_out=3, d_in=4, rank=2):
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return draw(d_out, d_in), draw(rank, d_in), draw(d_out, rank), 3.0


def _random_layer(generator):
    return torch.randn(5, 4, generator=generator), *_matrices(generator)


def _doubled(arguments):
    """The arguments with their tensors in float64, as laws compute."""
    return [one.double() if isinstance(one, torch.Tensor) else one for one in arguments]


_W = torch.tensor([[1.0, 0.0, 2.0, -1.0], [0.5, 1.0, 0.0, 1.0], [0.0, -2.0, 1.0, 0.0]])
_A = torch.tensor([[1.0, -1.0, 0.5, 0.0], [0.0, 2.0, 1.0, -1.0]])
_B = torch.tensor([[0.5, 1.0], [-1.0, 0.0], [2.0, 0.5]])
_X = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.0, 1.0, -1.0, 3.0]])


@exercise(
    "A layer that learns a change of low rank",
    cases=[
        (
            torch.tensor([[1.0, 2.0]]),
            torch.tensor([[1.0, 0.0], [0.0, 3.0]]),
            torch.tensor([[1.0, -2.0]]),
            torch.tensor([[1.0], [2.0]]),
            2.0,
        ),
        (_X, _W, _A, _B, 6.0),
        (torch.stack([_X, -_X, 2 * _X]), _W, _A, _B, 1.0),  # (batch, tokens, features)
        (_X, _W[:2], torch.eye(4)[:3], torch.ones(2, 3), 1.5),
    ],
    fresh=_random_layer,
    gradient=("x", "A", "B"),
    idea=(
        "The frozen layer answers as before, and a second, narrow path through r numbers adds its own answer to it. Only the "
        "narrow path learns."
    ),
    steps=(
        "The frozen path: x times the transposed weight, (..., d_out).",
        "The narrow path goes down first: x times the transposed A, so each row becomes r numbers.",
        "Then up: these r numbers times the transposed B, (..., d_out).",
        "Scale the narrow path alone by alpha / r, where r is the number of rows of A, and add the two paths.",
    ),
)
def lora_linear(x, weight, A, B, alpha):
    return lora.lora_linear(x, weight, A, B, alpha)


def _change(x, A, B):
    return (x @ A.T) @ B.T


@lora_linear.mistake("The change is not scaled. The formula multiplies it by alpha / r, with r the number of rows of A.")
def not_scaled(x, weight, A, B, alpha):
    return x @ weight.T + _change(x, A, B)


@lora_linear.mistake("You scale by alpha alone. Divide by the rank r, the number of rows of A, too.")
def not_divided_by_the_rank(x, weight, A, B, alpha):
    return x @ weight.T + alpha * _change(x, A, B)


@lora_linear.mistake("You divide by d_in, the number of columns of A. The rank r is the number of its rows.")
def divided_by_the_inputs(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[1] * _change(x, A, B)


@lora_linear.mistake("You divide by d_out, the number of rows of B. The rank r is the number of rows of A.")
def divided_by_the_outputs(x, weight, A, B, alpha):
    return x @ weight.T + alpha / len(B) * _change(x, A, B)


@lora_linear.mistake("You divide by the root of the rank, as a later variant does. The formula here divides by r itself.")
def divided_by_the_root(x, weight, A, B, alpha):
    return x @ weight.T + alpha / len(A) ** 0.5 * _change(x, A, B)


@lora_linear.mistake("Your scale is turned over. It is alpha / r, not r / alpha.")
def scale_turned_over(x, weight, A, B, alpha):
    return x @ weight.T + len(A) / alpha * _change(x, A, B)


@lora_linear.mistake("The alpha is missing from the scale. It is alpha / r, not 1 / r.")
def alpha_missing(x, weight, A, B, alpha):
    return x @ weight.T + _change(x, A, B) / len(A)


@lora_linear.mistake("The frozen layer is missing. The change is added to what it gives, x times the transposed weight.")
def frozen_path_missing(x, weight, A, B, alpha):
    return alpha / len(A) * _change(x, A, B)


@lora_linear.mistake("The change is missing: the layer gives what it gave before and would never learn.")
def change_missing(x, weight, A, B, alpha):
    return x @ weight.T + 0 * _change(x, A, B)


@lora_linear.mistake("You scale the frozen layer too. With B = 0 the layer must give what it gave before.")
def all_scaled(x, weight, A, B, alpha):
    return alpha / len(A) * (x @ weight.T + _change(x, A, B))


@lora_linear.mistake("You subtract the change. It is added.")
def subtracted(x, weight, A, B, alpha):
    return x @ weight.T - alpha / len(A) * _change(x, A, B)


@lora_linear.mistake("You round alpha / r to a whole number, as // and int() do. The scale is a fraction: /.")
def scale_rounded(x, weight, A, B, alpha):
    return x @ weight.T + alpha // len(A) * _change(x, A, B)


@lora_linear.mistake(
    "There is a nonlinearity between A and B, as in an adapter. LoRA has none, or the change could not be added to the weight."
)
def adapter(x, weight, A, B, alpha):
    return x @ weight.T + alpha / len(A) * (x @ A.T).relu() @ B.T


@lora_linear.mistake("You let the change see what the frozen layer gives. Both paths read x itself.")
def one_after_the_other(x, weight, A, B, alpha):
    plain = x @ weight.T
    if plain.shape[-1] < A.shape[1]:
        plain = torch.cat([plain, plain.new_zeros(*plain.shape[:-1], A.shape[1] - plain.shape[-1])], dim=-1)
    return x @ weight.T + alpha / len(A) * _change(plain[..., : A.shape[1]], A, B)


@lora_linear.property("With B = 0, as it starts, the layer gives what the frozen layer gives.")
def _starts_as_the_layer(function, generator):
    x, weight, A, B, alpha = _doubled(_random_layer(generator))
    if not torch.allclose(function(x, weight, A, torch.zeros_like(B), alpha), x @ weight.T):
        return say("With B = 0 the result differs from that of the frozen layer.")


@lora_linear.property("It is linear in x, or the change could not be merged into the weight.")
def _is_linear(function, generator):
    x, weight, A, B, alpha = _doubled(_random_layer(generator))
    y = torch.randn(x.shape, generator=generator).double()
    if not torch.allclose(
        function(x + y, weight, A, B, alpha), function(x, weight, A, B, alpha) + function(y, weight, A, B, alpha)
    ):
        return say("The result of a sum is not the sum of the results.")


@exercise(
    "Merging a change into the weight",
    cases=[
        (torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0], [2.0]]), 2.0),
        (_W, _A, _B, 6.0),
        (_W[:2], torch.eye(4)[:3], torch.ones(2, 3), 1.5),
    ],
    fresh=_matrices,
    idea=(
        "The change is linear in x, so it is a matrix like the weight itself, and the sum of the two matrices does in one "
        "product what the two paths do in three."
    ),
    steps=(
        "Which matrix has the shape of the weight, (d_out, d_in), and does to a column x what A and then B do?",
        "In a product of matrices the one on the right acts first.",
        "Scale it by alpha / r, with r the number of rows of A, and add the weight, into a new matrix.",
    ),
)
def merged_weight(weight, A, B, alpha):
    return lora.merged_weight(weight, A, B, alpha)


@merged_weight.mistake("The change is not scaled. The layer multiplies it by alpha / r: the merged weight must, too.")
def merged_not_scaled(weight, A, B, alpha):
    return weight + B @ A


@merged_weight.mistake("You scale by alpha alone. Divide by the rank r, the number of rows of A, too.")
def merged_not_divided(weight, A, B, alpha):
    return weight + alpha * B @ A


@merged_weight.mistake("You divide by d_in, the number of columns of A. The rank r is the number of its rows.")
def merged_divided_by_the_inputs(weight, A, B, alpha):
    return weight + alpha / A.shape[1] * B @ A


@merged_weight.mistake("You divide by d_out, the number of rows of B. The rank r is the number of rows of A.")
def merged_divided_by_the_outputs(weight, A, B, alpha):
    return weight + alpha / len(B) * B @ A


@merged_weight.mistake("You divide by the root of the rank, as a later variant does. The formula here divides by r itself.")
def merged_divided_by_the_root(weight, A, B, alpha):
    return weight + alpha / len(A) ** 0.5 * B @ A


@merged_weight.mistake("Your scale is turned over. It is alpha / r, not r / alpha.")
def merged_scale_turned_over(weight, A, B, alpha):
    return weight + len(A) / alpha * B @ A


@merged_weight.mistake("The alpha is missing from the scale. It is alpha / r, not 1 / r.")
def merged_alpha_missing(weight, A, B, alpha):
    return weight + B @ A / len(A)


@merged_weight.mistake("That is the change alone. Add it to the frozen weight.")
def weight_missing(weight, A, B, alpha):
    return alpha / len(A) * B @ A


@merged_weight.mistake("That is the frozen weight alone. Add the change to it.")
def merged_change_missing(weight, A, B, alpha):
    return weight.clone()


@merged_weight.mistake("You scale the frozen weight too. With B = 0 the merged weight is the frozen one.")
def merged_all_scaled(weight, A, B, alpha):
    return alpha / len(A) * (weight + B @ A)


@merged_weight.mistake("You subtract the change, which takes a merged change out again. Here it is added.")
def merged_subtracted(weight, A, B, alpha):
    return weight - alpha / len(A) * B @ A


@merged_weight.mistake("You take one of the r directions only. The product of the matrices adds them all up: B @ A.")
def first_direction_only(weight, A, B, alpha):
    return weight + alpha / len(A) * torch.outer(B[:, 0], A[0])


@merged_weight.mistake("You round alpha to a whole number. The scale is the fraction alpha / r.")
def alpha_rounded(weight, A, B, alpha):
    return weight + int(alpha) / len(A) * B @ A


@merged_weight.property("A plain layer with the merged weight gives what the two paths give.")
def _gives_the_same(function, generator):
    x, weight, A, B, alpha = _doubled(_random_layer(generator))
    if not torch.allclose(x @ function(weight, A, B, alpha).T, lora.lora_linear(x, weight, A, B, alpha)):
        return say("The plain layer with this weight gives something else than the adapted one.")


@merged_weight.property("The change has no higher rank than A and B allow.")
def _has_low_rank(function, generator):
    weight, A, B, alpha = _doubled(_matrices(generator, 5, 6, 2))
    if torch.linalg.matrix_rank(function(weight, A, B, alpha) - weight, atol=1e-9) > 2:
        return say("A and B have 2 ranks, and what you add to the weight has more.")
