"""Cleans the outputs of executed notebooks: all stays but the parts that only a live kernel can show."""

WIDGET = "application/vnd.jupyter.widget-view+json"


def strip_live_parts(nb) -> None:
    """Removes from a notebook, in place, what only a live kernel can show, so that front ends show the static pictures."""
    nb.metadata.pop("widgets", None)
    for cell in nb.cells:
        cell.metadata.pop("execution", None)  # times, which differ from run to run
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
