"""Rows of `make bench` for chapter 06: a distillation epoch with cached logits against one with the teacher online."""

from measure import one_thread, row, seconds


def epoch() -> dict:
    """One pass over the student's 768 glyphs, batches of 64; both end with the same student."""
    import torch

    from fewshot_lab import data
    from fewshot_lab.methods.distillation import cached_loss, online_loss, packed
    from fewshot_lab.models import conv_net
    from fewshot_lab.training import outputs, train

    _, task = data.load("glyphs").halves()
    images, classes = task.train_images, len(task.classes)
    torch.manual_seed(0)
    teacher = conv_net(classes, size=28, width=64).eval()
    nobody = torch.full((len(images),), -1)
    cached = packed(outputs(teacher, images), nobody)
    ends = {}

    def trained(name, targets, loss) -> float:
        torch.manual_seed(1)
        ends[name] = student = conv_net(classes, size=28, width=8)
        options = {"steps": len(images) // 64, "batch_size": 64, "loss": loss, "device": "cpu"}
        return seconds(lambda: train(student, images, targets, **options))

    found = row(
        "distillation epoch with cached logits, 768 glyphs, one thread",
        "the same with the teacher online",
        "s",
        lambda: trained("cached", cached, cached_loss(4.0, 0.5)),
        lambda: trained("online", nobody, online_loss(teacher, 4.0, 0.5)),
    )
    apart = max((a - b).abs().max().item() for a, b in zip(*(m.parameters() for m in ends.values()), strict=True))
    if apart > 1e-3:
        raise RuntimeError(f"The two students differ by {apart:.2g} in a weight; they should be the same.")
    return found


ROWS = {"distillation epoch": lambda: one_thread(epoch)}
