"""Episodes keep their promises, the rules are those of the papers, training by episodes helps, Omniglot is read."""

import zipfile
from io import BytesIO

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from places import OMNIGLOT

from fewshot_lab.data import episodes as ep
from fewshot_lab.data import omniglot
from fewshot_lab.errors import CourseError
from fewshot_lab.methods import maml, prototypes
from fewshot_lab.models import encoder_net
from fewshot_lab.runtime import seed_everything


def small_pool(classes: int = 8, pictures: int = 6, versions: int = 2) -> ep.Pool:
    count = classes * pictures
    images = torch.arange(count * versions, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    labels = torch.arange(classes).repeat(pictures)
    names = tuple(map(str, range(classes)))
    return ep.Pool("small", images, labels, names, tuple("AB"[i % 2] for i in range(classes)))


@settings(max_examples=30)
@given(st.integers(2, 4), st.integers(1, 3), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_support_and_queries_share_no_picture_and_stay_in_their_classes(way, shots, queries, within, seed):
    pool = small_pool()
    drawn = ep.draw_episodes(pool, 20, way=way, shots=shots, queries=queries, seed=seed, within_groups=within)
    picture = drawn.rows // pool.versions
    assert (pool.labels[picture] == drawn.classes[:, :, None]).all()
    for support, asked, classes in zip(drawn.support, drawn.queries, drawn.classes, strict=True):
        assert not set((support // 2).flatten().tolist()) & set((asked // 2).flatten().tolist())
        assert len(set(classes.tolist())) == way and len(set(asked.flatten().tolist())) == way * queries
        assert not within or len({pool.groups[c] for c in classes.tolist()}) == 1
    again = ep.draw_episodes(pool, 20, way=way, shots=shots, queries=queries, seed=seed, within_groups=within)
    assert torch.equal(drawn.rows, again.rows)
    assert drawn.query_labels.tolist() == [k for k in range(way) for _ in range(queries)]


def test_every_class_and_picture_is_drawn_about_equally_often():
    pool = small_pool()
    drawn = ep.draw_episodes(pool, 4000, way=4, shots=1, queries=2, seed=0)
    counts = torch.bincount(drawn.rows.flatten(), minlength=len(pool.images)).float()
    assert counts.min() > 0.8 * counts.mean() and counts.max() < 1.2 * counts.mean()


@pytest.mark.parametrize(("asked", "said"), [({"way": 9}, "9-way"), ({"shots": 6}, "6 shots"), ({"way": 1}, "1-way")])
def test_a_pool_that_is_too_small_is_named(asked, said):
    with pytest.raises(ValueError, match=said):
        ep.draw_episodes(small_pool(), 5, **{"way": 3, "shots": 1, "queries": 2, "seed": 0, **asked})


def test_draws_of_one_task_differ_in_their_labels_only():
    pool = small_pool(pictures=14)
    tasks = ep.draw_tasks(pool, 10, way=4, shots=3, seed=3)
    for task in tasks:
        assert (task.queries == task.queries[:1]).all() and (task.classes == task.classes[:1]).all()
        assert len(task.support.unique(dim=0)) > 5
        assert (pool.labels[task.rows // 2] == task.classes[:, :, None]).all()
        assert not set((task.support // 2).unique().tolist()) & set((task.queries // 2).unique().tolist())
        assert all(len(set((one // 2).tolist())) == 3 for one in task.support.flatten(0, 1))
        assert torch.equal(task.with_shots(1).support, task.support[..., :1])


def test_no_two_tasks_share_a_class():
    pool = small_pool(classes=11, pictures=14)
    dealt = [set(task.classes[0].tolist()) for task in ep.draw_tasks(pool, 2, way=4, shots=1, seed=0)]
    assert len(dealt) == 2 and len(set.union(*dealt)) == 8


def test_no_script_of_the_test_pool_is_in_the_training_pool():
    train, test = (ep.glyph_pool(part, jitter="none") for part in ("train", "test"))
    assert not set(train.groups) & set(test.groups) and not set(train.classes) & set(test.classes)


def test_the_prototype_rule_is_the_papers_formula():
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(3, 4, 2, 5, generator=generator, dtype=torch.float64)
    queries = torch.randn(3, 6, 5, generator=generator, dtype=torch.float64)
    expected = -(queries[:, :, None] - support.mean(2)[:, None]).square().sum(3)
    got = prototypes.prototype_rule(support, queries)
    assert torch.allclose(got.log_softmax(2), expected.log_softmax(2))


def test_matching_with_one_shot_is_a_softmax_over_cosines_and_gives_probabilities():
    support, queries = torch.randn(2, 3, 4, 5), torch.randn(2, 6, 5)
    assert torch.allclose(prototypes.matching_rule(support, queries).exp().sum(2), torch.ones(2, 6), atol=1e-5)
    one = prototypes.matching_rule(support[:, :, :1], queries)
    cosine = torch.nn.functional.cosine_similarity(queries[:, :, None], support[:, None, :, 0], dim=3)
    assert torch.allclose(one, (10 * cosine).log_softmax(2), atol=1e-5)


@pytest.mark.parametrize("rule", [prototypes.prototype_rule, prototypes.matching_rule, prototypes.linear_rule])
def test_every_rule_reads_clear_features_whatever_the_order_of_the_classes(rule):
    centres = 5 * torch.eye(4, 8)
    support = (centres[:, None] + 0.1 * torch.randn(4, 3, 8))[None]
    queries = (centres + 0.1 * torch.randn(4, 8))[None]
    order = torch.tensor([2, 0, 3, 1])
    assert rule(support, queries).argmax(2).tolist() == [[0, 1, 2, 3]]
    assert rule(support[:, order], queries[:, order]).argmax(2).tolist() == [[0, 1, 2, 3]]


def learner() -> maml.Learner:
    torch.manual_seed(0)
    return maml.Learner(encoder_net(width=4, features=8), 3, features=8).double().eval()


def test_all_tasks_at_once_adapt_as_one_after_the_other():
    support, queries = torch.rand(2, 3, 2, 1, 28, 28, dtype=torch.float64), torch.rand(2, 4, 1, 28, 28, dtype=torch.float64)
    model = learner()
    at_once, in_turn = (maml.adapted_logits(model, support, queries, steps=2, loop=loop) for loop in (False, True))
    assert torch.allclose(at_once, in_turn, atol=1e-8)


def test_the_gradient_goes_through_the_inner_step_and_not_in_first_order():
    support, queries = torch.rand(1, 3, 2, 1, 28, 28, dtype=torch.float64), torch.rand(1, 4, 1, 28, 28, dtype=torch.float64)
    model, gradients = learner(), {}
    for first_order in (False, True):
        logits = maml.adapted_logits(model, support, queries, steps=1, first_order=first_order)
        loss = torch.nn.functional.cross_entropy(logits[0], torch.tensor([0, 1, 2, 0]))
        gradients[first_order] = torch.autograd.grad(loss, model.head.weight)[0]
    weight = model.head.weight
    with torch.no_grad():  # the exact derivative along one direction, by differences
        direction, step = torch.randn_like(weight), 1e-5
        values = []
        for sign in (1, -1):
            weight += sign * step * direction
            logits = maml.adapted_logits(model, support, queries, steps=1)
            values.append(torch.nn.functional.cross_entropy(logits[0], torch.tensor([0, 1, 2, 0])))
            weight -= sign * step * direction
    measured = (values[0] - values[1]) / (2 * step)
    assert torch.allclose((gradients[False] * direction).sum(), measured, rtol=1e-3, atol=1e-7)
    assert not torch.allclose(gradients[True], gradients[False], rtol=1e-3)


@pytest.mark.slow
def test_training_by_episodes_reads_unseen_scripts_better_than_pixels():
    pool = ep.glyph_pool("test", jitter="mild", versions=2)
    drawn = ep.draw_episodes(pool, 200, way=5, shots=1, queries=5, seed=0)
    encoder, _ = prototypes.fit_by_episodes(prototypes.prototype_rule, steps=60, seed=0, device="cpu")
    trained = prototypes.episode_accuracies(prototypes.embed(encoder, pool), drawn).mean()
    seed_everything(0)
    plain = prototypes.episode_accuracies(prototypes.pixels(pool), drawn).mean()
    assert trained > plain + 0.2


def drawing(shade: int) -> bytes:
    image, buffer = Image.new("1", (105, 105), 1), BytesIO()
    image.paste(0, (10, 10, 10 + shade, 60))
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
def test_omniglots_layout_is_read_from_a_zip_file_and_from_a_folder(tmp_path, zipped):
    names = [f"images/{a}/character{c:02d}/{c}_{d:02d}.png" for a in ("Greek", "Latin") for c in (1, 2) for d in (1, 2, 3)]
    if zipped:
        with zipfile.ZipFile(tmp_path / "small.zip", "w") as archive:
            for name in names:
                archive.writestr(name, drawing(40 + int(name[-5])))
    else:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(drawing(40 + int(name[-5])))
    pool = omniglot.pool(tmp_path / "small.zip" if zipped else tmp_path)
    assert pool.images.shape == (12, 1, 28, 28) and pool.groups == ("Greek", "Greek", "Latin", "Latin")
    assert pool.images[0, 0, 8, 6] == 255 and pool.images[0, 0, 0, 0] == 0 and pool.labels.tolist()[:4] == [0, 0, 0, 1]


def test_a_drawing_that_is_in_two_archives_of_omniglot_counts_once(tmp_path):
    for archive, people in (("background.zip", 4), ("small1.zip", 2)):
        with zipfile.ZipFile(tmp_path / archive, "w") as packed:
            for person in range(people):
                packed.writestr(f"images/Greek/character01/0001_{person:02d}.png", drawing(40 + person))
    assert len(omniglot.pool(tmp_path).labels) == 4


def test_omniglot_as_an_asset_is_found_when_the_user_names_no_copy(tmp_path, monkeypatch):
    monkeypatch.delenv(omniglot.VARIABLE, raising=False)
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    with pytest.raises(CourseError, match="fewshot-lab assets fetch omniglot"):
        omniglot.pool()
    monkeypatch.setattr(omniglot, "installed", lambda name: tmp_path / "assets" if name == "omniglot" else None)
    (tmp_path / "assets").mkdir()
    with zipfile.ZipFile(tmp_path / "assets" / "images_background_small1.zip", "w") as packed:
        packed.writestr("images/Greek/character01/0001_01.png", drawing(40))
    assert omniglot.find() == tmp_path / "assets" and len(omniglot.pool().labels) == 1


def test_a_wrong_place_of_omniglot_is_named(tmp_path, monkeypatch):
    with pytest.raises(CourseError, match="nothing is there"):
        omniglot.pool(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match="no drawings"):
        omniglot.pool(tmp_path / "empty")
    monkeypatch.delenv(omniglot.VARIABLE, raising=False)
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    with pytest.raises(CourseError, match="FEWSHOT_LAB_OMNIGLOT"):
        omniglot.pool()


@pytest.mark.skipif(not OMNIGLOT, reason="FEWSHOT_LAB_OMNIGLOT names no zip file or folder of Omniglot")
def test_the_authors_own_omniglot_is_read():
    pool = omniglot.pool(OMNIGLOT)
    assert len(pool.classes) == 136 and len(set(pool.groups)) == 5 and (torch.bincount(pool.labels) == 20).all()
    assert 0.02 < pool.images.float().mean() / 255 < 0.2
