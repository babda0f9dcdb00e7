"""The page of what grading was tried with holds what the tests try, with the points that it should get."""

import grading_table


def test_every_attack_gets_nothing_and_every_honest_form_everything_on_the_page():
    rows, points = grading_table.rows(), grading_table.on_the_page()
    assert grading_table.PAGE.read_text(encoding="utf-8") == grading_table.as_markdown(points), (
        "python tests/support/grading_table.py"
    )
    assert {row.sentence for row in rows} == set(points)
    assert [row.sentence for row in rows if not grading_table.as_it_should(row, points[row.sentence])] == []


def test_they_are_many_and_each_says_something_of_its_own():
    rows = grading_table.rows()
    assert len({row.sentence for row in rows}) == len(rows)
    kinds = [row.kind for row in rows]
    assert kinds.count(grading_table.ATTACK) >= 80 and kinds.count(grading_table.HONEST) >= 60
