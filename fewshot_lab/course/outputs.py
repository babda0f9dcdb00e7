"""What executed notebooks carry in their cell outputs: parts for a live kernel only, and the records of results."""

import json
import math

WIDGET = "application/vnd.jupyter.widget-view+json"
RESULT = "application/vnd.fewshot-lab.result+json"
VERDICT = "application/vnd.fewshot-lab.verdict+json"
CHECK = "application/vnd.fewshot-lab.check+json"


def strip_live_parts(nb) -> None:
    """Takes out of a notebook, in place, what shows only with a live kernel, so that the static pictures are shown."""
    nb.metadata.pop("widgets", None)
    for output in _outputs(nb):
        if "data" in output:
            output.data.pop(WIDGET, None)
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]


def records(nb) -> dict:
    """The results, verdicts and checks that a notebook's cells left, in the form of results.json; the last one counts.

    Returns {"checks": {"passed", "failed", "not_attempted"}, "headline": [names], "results": {...}, "verdicts": {...}}.
    """
    results = {str(r["name"]): r for r in _bundles(nb, RESULT) if "name" in r}
    verdicts = {str(v["claim"]): v for v in _bundles(nb, VERDICT) if "claim" in v}
    checks = [str(c.get("status")) for c in {str(c.get("exercise")): c for c in _bundles(nb, CHECK)}.values()]
    return {
        "checks": {name: checks.count(name.replace("_", " ")) for name in ("passed", "failed", "not_attempted")},
        "headline": [name for name, result in results.items() if result.get("headline")],
        "results": {name: _result(r) for name, r in results.items()},
        "verdicts": {claim: {"verdict": v.get("verdict"), "why": v.get("why", "")} for claim, v in verdicts.items()},
    }


def as_json(record) -> str:
    """JSON that every reader takes: numbers that are not finite become null."""
    return json.dumps(json.loads(json.dumps(record), parse_constant=lambda _: None), indent=1, ensure_ascii=False) + "\n"


def number(value) -> str:
    """A measured value with few digits, "-" when there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def with_interval(result: dict) -> str:
    """A result as text, such as "0.84 [0.82, 0.86] accuracy"; a bound, such as ">= 20", leaves one end open."""
    interval = result["ci95"]
    between, bound = "", result.get("bound", "")
    if interval:
        low, high = map(number, interval)
        between = {">=": f" [from {low}]", "<=": f" [up to {high}]"}.get(bound, f" [{low}, {high}]")
    return f"{bound} {number(result['mean'])}{between} {result['unit']}".strip()


def _result(bundle: dict) -> dict:
    ends = bundle.get("ci95")
    result = {
        "mean": _finite(bundle.get("mean")),
        "ci95": [_finite(end) for end in ends] if isinstance(ends, list) and len(ends) == 2 else None,
        "n": _finite(bundle.get("n")),
        "unit": str(bundle.get("unit") or ""),
    }
    return result | ({"bound": str(bundle["bound"])} if bundle.get("bound") else {})


def _finite(value):
    """A number, or None for anything else: Jupyter turns NaN into the text "nan"."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _outputs(nb):
    return (output for cell in nb.cells if cell.cell_type == "code" for output in cell.outputs)


def _bundles(nb, mime: str) -> list[dict]:
    found = (output.data[mime] for output in _outputs(nb) if mime in output.get("data", {}))
    lists = (bundle if isinstance(bundle, list) else [bundle] for bundle in found)  # earlier versions: one a cell
    return [bundle for bundles in lists for bundle in bundles if isinstance(bundle, dict)]
