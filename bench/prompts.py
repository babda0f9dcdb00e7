"""Rows of `make bench` for chapter 09: prompt scoring with what all label words share computed once."""

from measure import row, seconds

TEMPLATE = "Dictionary definition: {x}\nType:"
WORDS = ("animal", "plant", "food", "means of transport", "someone at work")  # of one to three tokens


def scoring() -> dict:
    """40 test glosses and five label words of one to three tokens in float32; both give the same scores."""
    from fewshot_lab.data import glosses
    from fewshot_lab.methods import prompts
    from fewshot_lab.models.language import smollm2

    tokenizer, model = smollm2("cpu")
    model.float()
    texts, found = list(glosses.task().test_texts[::12][:40]), {}

    def timed(name, scores) -> float:
        taken = seconds(lambda: found.__setitem__(name, scores(tokenizer, model, texts, TEMPLATE, WORDS)))
        return len(texts) / taken

    measured = row(
        "prompt scoring, five label words, the text read once for all",
        "one full forward per text and label",
        "texts/s",
        lambda: timed("shared", prompts.continuation_scores),
        lambda: timed("full", prompts.naive_scores),
    )
    if (apart := (found["shared"] - found["full"]).abs().max().item()) > 1e-2:
        raise RuntimeError(f"The scores differ by {apart:.2g}; they should be the same.")
    return measured


ROWS = {"prompt scoring": scoring}
