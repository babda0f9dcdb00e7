"""Chinese data: the newspaper's names and their counts, parts that share no article; reviews that are in one part only."""

import re
from collections import Counter

import pytest

from fewshot_lab.data import daily, reviews_zh
from fewshot_lab.data.conll import spans


def names_of(sentence: str) -> list[tuple[str, str]]:
    text = daily._TAG.sub("", sentence)
    return [(kind, text[start:end]) for kind, start, end in daily.entities(sentence)]


def test_names_are_joined_from_surname_and_given_name():
    assert names_of("江/nr  泽民/nr  会见/v  克林顿/nr  。/w") == [("PER", "江泽民"), ("PER", "克林顿")]
    assert names_of("江/nr  泽民/nr  李/nr  鹏/nr  乔/nr  石/nr") == [("PER", "江泽民"), ("PER", "李鹏"), ("PER", "乔石")]
    assert names_of("诸葛/nr  亮/nr  、/w  欧阳/nr  山尊/nr") == [("PER", "诸葛亮"), ("PER", "欧阳山尊")]
    assert names_of("陈/nr  方/nr  安生/nr  说/v") == [("PER", "陈方安生")]
    assert names_of("秦/nr  惠（君音）/nr") == [("PER", "秦惠（君音）")]
    assert names_of("江/nr  主席/n  、/w  小平/nr  同志/n") == [("PER", "江"), ("PER", "小平")]
    # A given name of two characters begins no other, and a foreign name is no given one.
    assert names_of("银春/nr  王/nr  伟/nr  与/c  李/nr  桥本龙太郎/nr") == [
        ("PER", "银春"), ("PER", "王伟"), ("PER", "李"), ("PER", "桥本龙太郎"),
    ]  # fmt: skip


def test_neighbouring_places_and_organisations_stay_apart():
    assert names_of("新华社/nt  北京/ns  海淀区/ns  电/n") == [("ORG", "新华社"), ("LOC", "北京"), ("LOC", "海淀区")]


@pytest.mark.assets
def test_the_newspaper_has_the_words_that_are_reported_of_it():
    counted = Counter(tag for line in daily.lines() for tag in daily._TAG.findall(line))
    assert {tag: counted[tag] for tag in daily.TYPES} == {"nr": 35267, "ns": 27890, "nt": 3573}
    assert len(daily.lines()) == 19484
    assert not any("[" in line for line in daily.lines()), "the module says that this copy has lost its brackets"


@pytest.mark.assets
def test_parts_of_the_newspaper_share_no_article_and_no_sentence():
    task = daily.task()
    assert task.types == ("LOC", "ORG", "PER")
    parts = {"train": task.train, "validation": task.validation, "test": task.test}
    texts = {part: ["".join(s.words) for s in sentences] for part, sentences in parts.items()}
    everything = [re.sub(r"\d+", "0", text) for part in texts.values() for text in part]
    assert len(everything) == len(set(everything))
    assert all(0 < len(text) <= daily.LONGEST and " " not in text for text in everything)
    # The published order is that of the month: a dateline tells the day.
    days = {
        part: [int(day) for text in some for day in re.findall(r"１月([０-９]{1,2})日[讯电]", text)]
        for part, some in texts.items()
    }
    assert max(days["train"]) <= 21 and sorted(days["validation"])[len(days["validation"]) // 2] in (22, 23, 24)
    assert sorted(days["test"])[len(days["test"]) // 10] >= 24, "an article or two tells of a day long before"
    for part, sentences in parts.items():
        assert daily.SIZES[part] <= len(sentences) <= daily.SIZES[part] + 100
        assert Counter(kind for s in sentences for kind, _, _ in spans(s.tags)).keys() == {"PER", "LOC", "ORG"}
    assert len({s.group for s in task.test[:400]}) >= 20, "the first sentences are of many articles"


@pytest.mark.assets
def test_what_becomes_of_all_names_of_the_newspaper():
    found = [name for line in daily.lines() for name in names_of(line)]
    counted = Counter(kind for kind, _ in found)
    assert counted["LOC"] == 27890 and counted["ORG"] == 3573
    persons = [name for kind, name in found if kind == "PER"]
    assert counted["PER"] == len(persons) == 20084
    assert sum(len(name) == 1 for name in persons) < 0.03 * len(persons), "few surnames are left alone"


@pytest.mark.assets
def test_a_review_is_in_one_part_and_has_one_label():
    task = reviews_zh.task()
    parts = (task.train_texts, task.validation_texts, task.test_texts)
    keys = [re.sub(r"[\W_]", "", text).lower() for part in parts for text in part]
    assert len(keys) == len(set(keys)) and all(keys)
    assert len(keys) == 17321
    assert all(0.13 < len(part) / len(keys) < 0.17 for part in parts[1:])
    for labels in (task.train_labels, task.validation_labels, task.test_labels):
        assert set(labels.tolist()) == {0, 1} and 0.4 < labels.float().mean() < 0.6
