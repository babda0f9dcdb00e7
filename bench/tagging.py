"""Rows of `make bench` for chapter 10: batches cut to their longest sentence against batches padded to one length."""

from measure import row, seconds

STEPS, LENGTH = 4, 128


def fine_tuning() -> dict:
    """Four steps of 16 made sentences with the first four layers of MiniLM; both see the same batches and end alike."""
    import torch
    from torch import nn

    from fewshot_lab.methods.tagging import IGNORED, Tagger, encode, load_task, masked_loss, trim_padding
    from fewshot_lab.models.language import minilm
    from fewshot_lab.training import train

    task = load_task()
    tokenizer, encoder = minilm("cpu")
    tokens, labels = encode(tokenizer, task.train[:64], task.tags)
    missing = LENGTH - tokens.shape[1]
    labels = nn.functional.pad(labels, (0, missing), value=IGNORED)
    tokens = nn.functional.pad(tokens, (0, missing), value=tokenizer.pad_token_id)
    torch.manual_seed(0)
    tagger = Tagger(encoder, len(task.tags), layers=4)
    start, ends = {name: value.clone() for name, value in tagger.state_dict().items()}, {}

    def trained(name, loss) -> float:
        tagger.load_state_dict(start)
        options = {"steps": STEPS, "batch_size": 16, "learning_rate": 1e-4, "device": "cpu", "loss": loss}
        ends[name] = train(tagger, tokens, labels, **options)
        return STEPS * 16 / ends[name].seconds

    def padded(model, tokens, labels):
        return masked_loss(model(tokens), labels)

    found = row(
        "fine-tuning a tagger, batches cut to their longest sentence",
        f"the same, padded to {LENGTH} pieces",
        "sentences/s",
        lambda: trained("cut", trim_padding()),
        lambda: trained("padded", padded),
    )
    apart = max(abs(a - b) for a, b in zip(ends["cut"].losses, ends["padded"].losses, strict=True))
    if apart > 1e-2:
        raise RuntimeError(f"The losses differ by {apart:.2g}; they should be the same.")
    return found


def scoring() -> dict:
    """Entity F1 of 300 tagged sentences, against seqeval; both give the same number."""
    from importlib.metadata import version

    from seqeval.metrics import f1_score

    from fewshot_lab.methods.entity_scores import entity_f1
    from fewshot_lab.methods.tagging import load_task

    task, found = load_task(), {}
    gold = [list(s.tags) for s in task.test]
    predicted = [[tag if place % 5 else "O" for place, tag in enumerate(tags)] for tags in gold]

    def timed(name, score) -> float:
        return 1e3 * seconds(lambda: found.__setitem__(name, score(gold, predicted)))

    measured = row(
        "entity F1 of 300 sentences",
        f"seqeval {version('seqeval')}",
        "ms",
        lambda: timed("ours", entity_f1),
        lambda: timed("seqeval", f1_score),
    )
    if abs(found["ours"] - found["seqeval"]) > 1e-9:
        raise RuntimeError(f"Entity F1 is {found['ours']:.6f}, seqeval's {found['seqeval']:.6f}.")
    return measured


ROWS = {"tagging fine-tuning": fine_tuning, "tagging entity F1": scoring}
