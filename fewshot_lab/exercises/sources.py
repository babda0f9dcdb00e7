"""What an answer's source shows of what only its own process could say else: see `shown` of a Property."""

import ast
from collections.abc import Callable

Shown = Callable[[ast.Module], bool]
# Functions of torch that make a tensor on the CPU unless they are told where.
_MAKERS = {"arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "randperm", "tensor", "zeros"}
_FOLLOWERS = {"device", "to", "type_as", "new_tensor", "new_zeros", "new_ones", "new_full", "new_empty"}


def hands_on(place: int) -> Shown:
    """Whether a function hands its argument at this place on to another one."""

    def shown(tree):
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
        return any(
            isinstance(node, ast.Name) and node.id == function.args.args[place].arg
            for function in functions
            if len(function.args.args) > place
            for call in ast.walk(function)
            if isinstance(call, ast.Call)
            for value in (*call.args, *(keyword.value for keyword in call.keywords))
            for node in ast.walk(value)
        )

    return shown


def keyword(name: str) -> Shown:
    """Whether a call has this keyword, with another value than 0."""

    def shown(tree):
        words = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == name]
        return any(not isinstance(word.value, ast.Constant) or word.value.value for word in words)

    return shown


def no_keyword(name: str) -> Shown:
    """Whether no call has this keyword."""
    return lambda tree: not any(isinstance(node, ast.keyword) and node.arg == name for node in ast.walk(tree))


def names(name: str) -> Shown:
    """Whether something of this name is used."""
    return lambda tree: any(
        name in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None)) for node in ast.walk(tree)
    )


def new_tensors_follow(tree: ast.Module) -> bool:
    """Whether no tensor is made, or something in the source is about the device of another one."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    made = any(one.attr in _MAKERS and getattr(one.value, "id", "") == "torch" for one in attributes)
    follows = any(one.attr in _FOLLOWERS for one in attributes) or keyword("device")(tree)
    return follows or not made
