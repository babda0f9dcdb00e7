"""Declarations: each exercise of a notebook has one and the reverse, its solution is a function of that name and parameters."""

import ast
import pickle
import subprocess
import sys

import pytest

from fewshot_lab.course.chapters import chapters
from fewshot_lab.exercises import exercises, get_exercise
from fewshot_lab.exercises.declare import exercise
from fewshot_lab.grading.assignment import assignment


@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.id)
def test_every_exercise_of_a_notebook_is_declared_and_the_reverse(chapter):
    declared = [name for name, task in exercises().items() if task.chapter == chapter.id]
    assert sorted(chapter.exercises) == sorted(declared)


@pytest.mark.parametrize("task", exercises().values(), ids=lambda task: task.name)
def test_the_solution_of_a_notebook_is_a_function_with_the_declared_name_and_parameters(task):
    cell = ast.parse(assignment(task.chapter).solved[task.name])
    [solution] = [node for node in cell.body if isinstance(node, ast.FunctionDef) and node.name == task.name]
    names = task.reference.__code__.co_varnames[: task.reference.__code__.co_argcount]
    assert tuple(argument.arg for argument in solution.args.args) == names
    assert [ast.literal_eval(value) for value in solution.args.defaults] == list(task.reference.__defaults__ or ())


@pytest.mark.parametrize("task", exercises().values(), ids=lambda task: task.name)
def test_the_reference_can_be_sent_to_another_process(task):
    assert pickle.loads(pickle.dumps(task.reference)) is task.reference


def test_a_declaration_takes_its_names_from_its_functions():
    @exercise("The double", cases=[(1,), (2,)])
    def double(number):
        return 2 * number

    @double.mistake("That is the square.")
    def squared(number):
        return number**2

    @double.mistake("That is the sum with 1.")
    def sum_(number):
        return number + 1

    @double.property("It is even.", mistake="odd")
    def _even(function, generator):
        return "It is odd." if function(3) % 2 else None

    assert double.name == "double" and double(4) == 8 and double.cases == ((1,), (2,))
    assert [(mistake.name, mistake.function) for mistake in double.mistakes] == [("squared", squared), ("sum", sum_)]
    assert [(prop.statement, prop.fails, prop.mistake) for prop in double.properties] == [("It is even.", _even, "odd")]
    with pytest.raises(ValueError, match="Two mistakes of double are called squared"):
        double.mistake("Once more.")(squared)


def test_the_chapter_is_the_number_in_the_modules_name():
    assert get_exercise("listing_loader").reference.__module__.endswith("chapter_02_listing")
    assert get_exercise("listing_loader").chapter == "02"


def test_the_first_check_does_not_wait_for_torchvision():
    """Which imports torch._dynamo, for longer than all exercises together."""
    words = "import sys; from fewshot_lab.exercises import exercises; exercises(); print('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout == "False\n"
