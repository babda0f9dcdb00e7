"""The rules file and the verdicts that follow from it: what decides, what is recorded, and that chapters keep to it."""

import ast
import json
import math
import re
from dataclasses import replace

import pytest

import fewshot_lab as lab
from fewshot_lab.course.chapters import chapters
from fewshot_lab.course.compare import compare
from fewshot_lab.evidence import RULES, Outcome, Verdict, full_profile, ledger, read_rules, recorded
from fewshot_lab.evidence.course_records import ChapterRecord
from fewshot_lab.evidence.records import VERDICT
from fewshot_lab.evidence.runs import ChapterRun, Run
from fewshot_lab.evidence.verdicts import outcome_of
from fewshot_lab.runtime import FULL_SEEDS
from fewshot_lab.training import Estimate, mean_interval

# Rules as short as they can be; those of the course change with their chapters.
SAMPLE = """
# A comment.
[thresholds]
accuracy = {value = 0.01, unit = "accuracy", reason = "One image in a hundred."}
rate = {value = 1.1, unit = "labels per label", ratio = true, reason = "A tenth more."}
share_at_rest = {value = 0.8, unit = "share", reason = "Four of five."}
alpha = {value = 0.05, unit = "probability", reason = "As the intervals."}
[profiles]
quick = {first_seed = 0, reason = "A first look."}
full = {first_seed = 1000, reason = "A replication."}
[article]
C3 = {claim = "Too much harms."}
C6 = {claim = "Both beat either."}
C13 = {claim = "As quoted."}
[claims.C3a]
article = "C3"
chapter = "02"
sentence = "Beyond some strength a policy harms."
[[claims.C3a.parts]]
name = "strongest"
statement = "best - strongest"
relation = ">"
threshold = 0
margin = "accuracy"
[claims.C6]
article = "C6"
chapter = "04"
sentence = "Both together beat either alone."
[[claims.C6.parts]]
name = "one"
statement = "both - one"
relation = ">"
threshold = 0.0
margin = "accuracy"
[[claims.C6.parts]]
name = "two"
statement = "both - two"
relation = ">"
threshold = 0
margin = "accuracy"
[[claims.C6.parts]]
name = "three"
statement = "both - three"
relation = ">"
threshold = 0
margin = "accuracy"
[[claims.C6.parts]]
name = "four"
statement = "both - four"
relation = ">"
threshold = 0
margin = "accuracy"
[claims.C13]
article = "C13"
chapter = "06"
sentence = "It reaches 71.9 %."
testable = false
reason = "No laptop trains that; 76.13 % is usual."
"""
MARGIN = 0.01


def spread(low: float, high: float, **more) -> Estimate:
    return Estimate((low + high) / 2, low, high, 5, **more)


WELL_ABOVE, WELL_BELOW, WITHIN, ACROSS = spread(0.05, 0.09), spread(-0.09, -0.05), spread(-0.005, 0.008), spread(-0.02, 0.05)
LEARNING = replace(WELL_ABOVE, rest=(("none", 1.0), ("strong", 0.4)))


@pytest.fixture(autouse=True)
def sample_rules_and_no_published_run(request, monkeypatch, tmp_path):
    if "chapter" not in request.node.name:  # those tests are about the course's own rules
        path = tmp_path / "sample.toml"
        path.write_text(SAMPLE)
        for name, claim in read_rules(path).claims.items():
            monkeypatch.setitem(RULES.claims, name, claim)
    monkeypatch.setattr(full_profile, "RECORD", tmp_path / "nowhere" / "results.json")


# what an interval says


@pytest.mark.parametrize(
    "estimate,says",
    [
        (WELL_ABOVE, Outcome.SUPPORTED),
        (WELL_BELOW, Outcome.REFUTED),
        (WITHIN, Outcome.NO_EFFECT),
        (ACROSS, Outcome.INCONCLUSIVE),
        (spread(0.001, 0.05), Outcome.INCONCLUSIVE),  # above 0, but perhaps too small to be of interest
        (LEARNING, Outcome.STILL_LEARNING),
        (replace(WELL_BELOW, rest=(("none", 0.5),)), Outcome.STILL_LEARNING),
        (replace(WELL_ABOVE, rest=(("none", 0.8),)), Outcome.SUPPORTED),
        (replace(WELL_ABOVE, n=1), Outcome.INCONCLUSIVE),
        (mean_interval([0.3]), Outcome.INCONCLUSIVE),
        (replace(WITHIN, bound=">="), Outcome.INCONCLUSIVE),
        (replace(WITHIN, open=("low",)), Outcome.INCONCLUSIVE),
    ],
)
def test_a_part_is_decided_by_its_interval_the_margin_and_rest(estimate, says):
    assert outcome_of(estimate, ">", 0.0, MARGIN) == says
    mirrored = {Outcome.SUPPORTED: Outcome.REFUTED, Outcome.REFUTED: Outcome.SUPPORTED}
    assert outcome_of(estimate, "<", 0.0, MARGIN) == mirrored.get(says, says)


def test_trainings_need_not_rest_where_short_ones_are_the_subject_and_a_ratio_multiplies():
    assert outcome_of(LEARNING, ">", 0.0, MARGIN, short=True) == Outcome.SUPPORTED
    assert outcome_of(spread(0.92, 1.09), ">", 1.0, 1.1, ratio=True) == Outcome.NO_EFFECT
    assert outcome_of(spread(1.12, 1.3), ">", 1.0, 1.1, ratio=True) == Outcome.SUPPORTED
    assert outcome_of(spread(0.5, 0.9), ">", 1.0, 1.1, ratio=True) == Outcome.REFUTED


def judged(*estimates: Estimate):
    """C6, which has four parts; those that are not given are supported."""
    names = [part.name for part in RULES.claims["C6"].parts]
    return lab.verdict("C6", **dict(zip(names, [*estimates, *[WELL_ABOVE] * (len(names) - len(estimates))], strict=True)))


def test_of_a_claims_parts_refuted_comes_before_no_effect_before_still_learning_before_too_few():
    others = [ACROSS, LEARNING, WITHIN, WELL_BELOW]
    expected = [Outcome.INCONCLUSIVE, Outcome.STILL_LEARNING, Outcome.NO_EFFECT, Outcome.REFUTED]
    assert judged().verdict == Outcome.SUPPORTED
    assert [judged(*others[: i + 1]).verdict for i in range(4)] == expected


def test_a_claim_is_judged_by_the_sentence_and_the_parts_of_the_rules_alone():
    result = lab.verdict("C3a", strongest=LEARNING)
    rule = RULES.claims["C3a"]
    assert result.sentence == rule.sentence and result.parts[0].statement == rule.parts[0].statement
    assert result.parts[0].needed == f"> {MARGIN:g}" and "strong: 40% at rest" in result.why and "none:" not in result.why
    for shown in (str(result), result._repr_mimebundle_()["text/html"]):
        assert rule.sentence in shown and "inconclusive: still learning" in shown and "none 100%, strong 40%" in shown


def test_why_quotes_the_numbers_that_decided_and_the_cell_shows_words_and_symbol():
    result = judged(WELL_ABOVE, WELL_BELOW)
    assert result.why.startswith("both - two = ") and "needed > 0.01" in result.why and "both - one" not in result.why
    bundle = result._repr_mimebundle_()
    assert "✗ refuted" in bundle["text/html"] and "✗ C6 refuted" in bundle["text/plain"]


def test_what_is_drawn_anew_stands_beside_every_part():
    result = lab.verdict("C3a", strongest=replace(WELL_ABOVE, over="5 seeds x 80 pictures"))
    assert "5 seeds x 80 pictures" in str(result) and "5 seeds x 80 pictures" in result._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("parts,says", [({}, "strongest is missing"), ({"strongest": ACROSS, "x": ACROSS}, "x is unknown")])
def test_parts_that_are_missing_or_unknown_are_listed(parts, says):
    with pytest.raises(ValueError, match=f"C3a needs the parts strongest, but {says}"):
        lab.verdict("C3a", **parts)


def test_a_claim_that_is_not_in_the_rules_and_a_bare_number_are_refused():
    with pytest.raises(ValueError, match="no claim 'C99' in rules.toml; there are C1a"):
        lab.verdict("C99")
    with pytest.raises(ValueError, match="strongest needs an estimate"):
        lab.verdict("C3a", strongest=0.3)


def test_what_cannot_be_tested_says_why():
    result = lab.verdict("C13")
    assert result.verdict == "not testable here" and "76.13 %" in str(result)
    with pytest.raises(ValueError, match=r"\(none\), but gain is unknown"):
        lab.verdict("C13", gain=ACROSS)


def test_a_run_that_explores_is_recorded_under_a_name_of_its_own():
    result = lab.verdict("C3a", strongest=WELL_ABOVE, exploring="DATASET=digits")
    content = result._repr_mimebundle_()[VERDICT]
    assert content["claim"] == "exploring C3a, DATASET=digits" and "no verdict of the ledger" in str(result)
    record = ChapterRecord("02", "", "here", {content["claim"]: Verdict.from_json(content)})
    assert {row.claim.id: row.outcome for row in ledger([record]).rows}["C3a"] == Outcome.UNTESTED


# p values and records


def test_p_of_a_supported_claim_is_its_largest_and_of_a_refuted_one_its_smallest_times_the_parts():
    values, near = mean_interval([0.1, 0.12, 0.09, 0.11]), mean_interval([0.03, 0.05, 0.02, 0.06])
    supported = judged(values, near)
    assert supported.p == pytest.approx(max(values.p_value(MARGIN), near.p_value(MARGIN), WELL_ABOVE.p_value(MARGIN)))
    refuted = judged(mean_interval([-0.1, -0.12, -0.09]), near)
    assert refuted.p == pytest.approx(4 * mean_interval([-0.1, -0.12, -0.09]).p_value(-MARGIN))
    assert math.isnan(judged(ACROSS).p)


def test_a_table_says_what_would_support_a_part_and_what_would_refute_it():
    result = judged(ACROSS)
    assert (result.parts[0].needed, result.parts[0].refuting) == ("> 0.01", "< -0.01")
    assert "&lt; -0.01" in result._repr_mimebundle_()["text/html"]


def test_a_verdicts_record_holds_all_its_parts_and_comes_back():
    measured = replace(mean_interval([0.1, 0.12, 0.09], "accuracy", "3 seeds"), rest=(("none", 1.0),))
    result = judged(measured, WELL_BELOW, WITHIN, ACROSS)
    content = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert (content["rules"], content["rule"]) == (RULES.hash(), RULES.hash("C6"))
    assert content["sentence"] == RULES.claims["C6"].sentence
    assert [part["outcome"] for part in content["parts"]] == ["supported", "refuted", "no relevant effect", "inconclusive"]
    assert content["parts"][0]["estimate"]["values"] == [0.1, 0.12, 0.09]
    assert content["parts"][0]["estimate"]["rest"] == {"none": 1.0} and content["parts"][0]["p"] < 0.05
    back = Verdict.from_json(content)
    assert back.as_json() == content and back.parts[0].estimate == measured and back.p == pytest.approx(result.p)


def test_old_records_still_read_and_a_damaged_part_is_no_record():
    old = {"claim": "C3", "verdict": "inconclusive", "why": "w"}
    assert Verdict.from_json(old).parts == () and Verdict.from_json(old).as_json() == old
    damaged = old | {"claim": "C4", "parts": [{"statement": "gain"}]}
    cells = [{"outputs": [{"data": {VERDICT: content}}]} for content in (old, damaged, old | {"parts": [3]})]
    assert recorded(cells).verdicts.keys() == {"C3"}


def published(tmp_path, monkeypatch, verdict: Verdict) -> None:
    run = Run(profile="full", chapters=[ChapterRun("02", verdicts={verdict.claim: verdict})])
    path = tmp_path / "full" / "results.json"
    path.parent.mkdir()
    path.write_text(run.as_text())
    monkeypatch.setattr(full_profile, "RECORD", path)


def test_the_full_profiles_verdict_stands_under_the_quick_one(tmp_path, monkeypatch):
    full = lab.verdict("C3a", strongest=WELL_ABOVE)
    assert "full profile" not in str(full)
    published(tmp_path, monkeypatch, full)
    assert "full profile: supported, +0.070 [0.050, 0.090]" in str(lab.verdict("C3a", strongest=ACROSS)).splitlines()


@pytest.mark.parametrize(
    "change,says",
    [({"rule": "abc"}, "supported, "), ({"sentence": "Other."}, "for an earlier wording and under earlier rules: supported")],
)
def test_a_full_profile_from_before_the_rules_says_so(tmp_path, monkeypatch, change, says):
    published(tmp_path, monkeypatch, replace(lab.verdict("C3a", strongest=WELL_ABOVE), **change))
    [line] = [line for line in str(lab.verdict("C3a", strongest=ACROSS)).splitlines() if line.startswith("full profile")]
    assert says in line and "under earlier rules" in line


def test_the_sentence_is_the_same_in_verdict_ledger_and_docs(tmp_path):
    result = lab.verdict("C3a", strongest=WELL_ABOVE)
    run = Run(profile="quick", chapters=[ChapterRun("02", verdicts={"C3a": Verdict.from_json(result.as_json())})])
    (tmp_path / "results.json").write_text(run.as_text())
    sentence = RULES.claims["C3a"].sentence
    docs = compare([tmp_path])
    assert all(sentence in shown for shown in (str(result), str(ledger(tmp_path / "results.json")), docs))
    assert "p < 0.0001, stands" in docs or "Holm: p = " in docs
    assert RULES.hash() in docs and "| **supported**; +0.070 [0.050, 0.090]; Holm: p " in docs
    [part] = RULES.claims["C3a"].parts
    assert f"| **C3a** {part.statement} | 02 | > 0.01 | +0.070 [0.050, 0.090], n = 5, supported" in docs


# the file


def changed(tmp_path, old: str, new: str):
    assert old in SAMPLE
    path = tmp_path / "rules.toml"
    path.write_text(SAMPLE.replace(old, new, 1), encoding="utf-8")
    return path


def test_the_hash_changes_with_a_threshold_and_not_with_a_comment(tmp_path):
    before = read_rules(changed(tmp_path, "", "")).hash()
    assert read_rules(changed(tmp_path, "value = 0.01", "value = 0.02")).hash() != before
    assert read_rules(changed(tmp_path, "# A comment.", "# Other words.")).hash() == before
    assert len(before) == len(RULES.hash()) == 12


@pytest.mark.parametrize(
    "old,new,same",
    [
        ("Beyond some strength a policy harms.", "Other.", True),
        ("A tenth more.", "A fifth more.", True),
        ("Both together beat either alone.", "Other.", False),
        ('statement = "both - two"', 'statement = "both - 2"', False),
        ("One image in a hundred.", "Two images in a hundred.", False),
        ("first_seed = 0", "first_seed = 1", False),
    ],
)
def test_a_claims_hash_changes_with_its_own_rule_and_not_with_another_claims(tmp_path, old, new, same):
    before = read_rules(changed(tmp_path, "", "")).hash("C6")
    assert (read_rules(changed(tmp_path, old, new)).hash("C6") == before) == same


@pytest.mark.parametrize(
    "old,new,says",
    [
        ('relation = ">"', 'relation = ">="', "relation is '>='"),
        ('margin = "accuracy"', 'margin = "acuracy"', "margin 'acuracy' is no threshold; there are accuracy"),
        ('chapter = "02"', 'chapter = "2"', "two digits"),
        ("value = 0.01", 'value = "0.01"', r"thresholds.accuracy.value is '0.01'"),
        ("{value = 0.01", "{valu = 0.01", "thresholds.accuracy has no field valu"),
        ("[claims.C3a]", "[claims.Price]", "neither an article's claim"),
        ('article = "C3"', 'article = "C4"', "C4', which does not fit"),
        ('name = "strongest"', 'name = "claim"', "none of claim"),
        ('name = "two"', 'name = "one"', "two parts alike"),
        ("testable = false", "testable = true", "claims.C13 needs parts"),
        ("alpha =", "level =", "lacks alpha"),
        ("[profiles]", "[profiles", "no TOML"),
        ("C6 = {claim", 'C5 = {claim = "More."}\nC6 = {claim', "no claim belongs to C5"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, old, new, says):
    with pytest.raises(ValueError, match=says):
        read_rules(changed(tmp_path, old, new))


def test_the_full_profile_runs_on_seeds_that_nothing_was_tuned_on():
    assert RULES.profiles["quick"].first_seed == 0 and RULES.profiles["full"].first_seed == FULL_SEEDS


# the chapters


def verdict_calls(source: str) -> list[tuple[str, set[str]]]:
    """The claims that a chapter judges by the rules: (name, the parts it gives), from `lab.verdict("name", part=...)`."""
    calls = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "verdict":
            assert isinstance(node.args[0], ast.Constant), "a verdict's claim is written where it is judged"
            calls.append((node.args[0].value, {word.arg for word in node.keywords} - {"exploring"}, len(node.args)))
    return calls


@pytest.mark.parametrize("chapter", chapters(), ids=lambda one: one.id)
def test_a_chapter_judges_the_claims_of_the_rules_and_all_of_its_own(chapter):
    calls = verdict_calls(chapter.source.read_text(encoding="utf-8"))
    assert all(arguments == 1 for *_, arguments in calls), "sentence and thresholds stand in rules.toml"
    assert {name for name, *_ in calls} == {claim.id for claim in RULES.of_chapter(chapter.id)}
    for name, given, _ in calls:
        # Parts that are given as **dictionary have no name in the source.
        assert None in given or given == {part.name for part in RULES.claims[name].parts}


SHORT = re.compile(
    r"\bshort\b|equal(ly many)? (steps|passes|seconds)|as many steps|after the steps|longer training|training goes on"
)


def test_a_claim_about_trainings_that_may_still_learn_says_so_in_its_sentence():
    unsaid = [claim.id for claim in RULES.claims.values() if claim.short and not SHORT.search(claim.sentence)]
    assert not unsaid, "what is measured after so many steps holds after so many steps"


def constants(node: ast.AST) -> set:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, int)}


@pytest.mark.parametrize("chapter", chapters(), ids=lambda one: one.id)
def test_the_full_profiles_budgets_are_those_of_the_source(chapter):
    tree = ast.parse(chapter.source.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if getattr(getattr(node, "func", None), "attr", "") in ("quick_or_full", "seeds")]
    full = [node.args[-1] for node in calls if node.args]
    longer = {(it.left.value, n) for arg in full for it in ast.walk(arg) if _multiplies(it) for n in constants(tree)}
    known = set().union(*map(constants, full), {times * n for times, n in longer})
    for claim in RULES.of_chapter(chapter.id):
        told = re.findall(r"full profile:? (\d[\d,]*)(?<!,)", claim.budget)
        assert {int(number.replace(",", "")) for number in told} <= known, claim.id


def _multiplies(node: ast.AST) -> bool:
    """Whether it is a number times something, such as 3 * steps."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.Constant)


def test_every_claim_belongs_to_a_chapter_that_exists():
    assert {claim.chapter for claim in RULES.claims.values()} <= {chapter.id for chapter in chapters()}


@pytest.mark.parametrize("chapter", chapters(), ids=lambda one: one.id)
def test_arms_whose_rest_a_chapter_recorded_are_those_of_the_rule(chapter):
    recorded_parts = [
        (rule, part)
        for verdict in recorded(json.loads(chapter.notebook.read_text(encoding="utf-8"))["cells"]).verdicts.values()
        if (rule := RULES.claims.get(verdict.claim)) and verdict.rule == RULES.hash(verdict.claim)
        for part in verdict.parts
    ]
    for rule, part in recorded_parts:
        arms = next(one.arms for one in rule.parts if one.name == part.name)
        names = {re.sub(r", \w+ = [^,]+$", "", name) for name, _ in part.estimate.rest}  # without the point on an axis
        assert names <= set(arms), f"{rule.id}, {part.name}: the rule names {arms}, the estimate is of {names}"


def test_a_shorter_quick_profile_makes_only_quick_verdicts_look_old():
    claim = RULES.claims["C6"]
    shorter = replace(RULES, claims=RULES.claims | {"C6": replace(claim, quick="2 encoders")})
    assert shorter.hash("C6", "full") == RULES.hash("C6", "full")
    assert shorter.hash("C6") != RULES.hash("C6")
