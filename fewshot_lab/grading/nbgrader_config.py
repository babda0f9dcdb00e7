"""The course in nbgrader, written by `fewshot-lab release`. Work in this folder or copy it to yours."""

import re

from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearSolutions

LISTING = re.compile(r"^ *### BEGIN PLANTED\n(.*?)\n *### END PLANTED\n *### BEGIN SOLUTION\n.*?### END SOLUTION$", re.S | re.M)


class ClearSolutionsAndPlant(ClearSolutions):
    """Clears solutions, and in a cell that asks to repair a listing uncomments the listing instead of writing a stub."""

    def preprocess_cell(self, cell, resources, cell_index):
        cell.source, count = LISTING.subn(lambda lines: re.sub(r"^(?: *#$|( *)# )", r"\1", lines[1], flags=re.M), cell.source)
        return (cell, resources) if count else super().preprocess_cell(cell, resources, cell_index)


c = get_config()  # noqa: F821
c.GenerateAssignment.preprocessors = [
    ClearSolutionsAndPlant if step is ClearSolutions else step for step in GenerateAssignment.preprocessors.default()
]
c.Execute.timeout = 600  # seconds for a cell; some train a model
