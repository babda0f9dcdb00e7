"""The pages after grading: feedback for each student, one for marking written answers, and the instructor's summary.

Everything that a student wrote is escaped, and no page may run a script or load anything: templates/graded.html.j2.
"""

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import mean, median
from urllib.parse import quote

from markupsafe import Markup

from ..html import render
from ..languages import chapter_title, language, say
from .alike import Group
from .appeals import HEAD, Change
from .assignment import assignment
from .by_hand import MARKS, answer_id, written
from .charts import mistakes_chart, question_chart, resources_chart
from .grade import Graded, MarkStatus
from .gradebook import by_question, in_trouble, mistakes_by_chapter, number, statistics

_RENDERED = 8_000  # characters of an answer in words: a longer one is shown as it was typed
_PRINTED = 2000  # characters: a student's page shows so much of what the cells printed


def file_name(student: str) -> str:
    """The file name of a student's page: the student's name if it is a valid file name, otherwise made valid, with a hash.

    The hash keeps two names apart that would become the same file.
    """
    plain = re.sub(r"[^\w. -]+", "_", student).strip(". ")[:60] or "student"
    digest = sha256(student.encode(errors="surrogatepass")).hexdigest()[:6]
    return f"{plain}.html" if plain == student else f"{plain}-{digest}.html"


def feedback_page(student: str, graded: Sequence[Graded]) -> str:
    """One student's page: each question with its outcome, the smallest failing case, and the hint for a known mistake."""
    graded = sorted(graded, key=lambda one: one.chapter)
    return _render(
        "feedback", say("Feedback for {student}", student=student), graded=graded, heading=_heading, printed=_PRINTED
    )


def marking_page(graded: Iterable[Graded], names: bool = False) -> str:
    """A form for the written answers, question by question, beside what the course expects; it saves marks.csv.

    Without `names` nobody is named, and the answers stand in an order that says nothing about who wrote them. A student's
    answer is rendered without its HTML, and the one script that may run is the page's own: its checksum stands in the page.
    """
    answers = defaultdict(list)
    for one, mark in written(graded):
        text = one.answers.get(mark.grade_id, "")
        marked = mark.status == MarkStatus.MARKED
        answers[one.chapter, mark.grade_id].append(
            {
                "id": answer_id(one, mark),
                "student": one.student if names else "",
                "text": rendered(text),
                "score": number(mark.score) if marked else "",
                "comment": mark.message if marked else "",
                "points": mark.max_score,
            }
        )
    questions = []
    for (chapter, name), theirs in sorted(answers.items(), key=lambda item: item[0]):
        task = assignment(chapter)
        rubric = rendered(task.solved.get(name, ""))
        facts = {"chapter": chapter, "name": name, "points": theirs[0]["points"], "asked": rendered(task.asked.get(name, ""))}
        questions.append(facts | {"expected": rubric, "answers": sorted(theirs, key=lambda answer: answer["id"])})
    script = Path(__file__).parents[1].joinpath("templates", "marking.js").read_text(encoding="utf-8")
    checksum = base64.b64encode(sha256(script.encode()).digest()).decode()
    values = {"questions": questions, "file": MARKS, "script": Markup(script), "checksum": checksum}
    return _render("marking", say("To mark by hand"), **values)


def rendered(text: str) -> Markup:
    """Markdown as HTML; HTML in it is shown as it was typed, no link runs a script, and a very long text stays as it is."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    if len(text) <= _RENDERED:
        renderer = IPythonRenderer(escape=True, allow_harmful_protocols=False, exclude_anchor_links=True)
        try:
            return Markup(MarkdownWithMath(renderer=renderer).render(text))
        except Exception:  # a stranger's text: an attachment that is not there, lists nested a thousand deep
            pass
    return Markup("<pre>{}</pre>").format(text)


def summary_page(
    graded: Sequence[Graded], groups: Sequence[Group], remarks: Sequence[str] = (), changes: Sequence[Change] = ()
) -> str:
    """The instructor's page: who is in trouble, scores, questions, mistakes, near-identical answers, time and memory."""
    statistics_rows = statistics(graded)
    named = Counter((one.chapter, mark.title, mark.mistake) for one in graded for mark in one.marks if mark.mistake)
    students = sorted({one.student for one in graded})
    scores = defaultdict(list)
    for one in sorted((one for one in graded if one.chapter), key=lambda one: one.chapter):
        score = say("{score} of {most}", score=number(one.score), most=number(one.max_score))
        late = say(", {hours:.0f} hours late", hours=one.hours_late) if one.hours_late else ""
        scores[one.student].append(f"{one.chapter}: {score}{late}")
    weeks, by_week = mistakes_by_chapter(graded)
    return _render(
        "summary",
        say("Grades"),
        notebooks=sum(bool(one.path) for one in graded),
        in_trouble=in_trouble(graded),
        students=[(student, f"feedback/{quote(file_name(student))}", "; ".join(scores[student])) for student in students],
        remarks=remarks,
        chapters=[
            _chapter(chapter, graded, statistics_rows) for chapter in sorted({one.chapter for one in graded if one.chapter})
        ],
        mistakes=mistakes_chart(named.most_common(12)).as_html() if named else "",
        weeks=weeks,
        by_week=by_week,
        changes=[_change(change) for change in changes],
        change_heads=[say(name) for name in HEAD],
        trouble=_trouble(graded),
        alike=[_alike(group) for group in groups],
        resources=resources_chart(graded).as_html(),
    )


def _render(template: str, title: str, **values) -> str:
    return render(template, title=title, language=language(), say=say, number=number, **values)


def _heading(one: Graded) -> str:
    return f"{one.chapter} {chapter_title(one.chapter, assignment(one.chapter).title)}" if one.chapter else one.path


def _chapter(chapter: str, graded: Sequence[Graded], statistics_rows: Sequence[dict]) -> dict:
    """What the summary says about a chapter, with a row of text for each of its questions."""
    task = assignment(chapter)
    submissions = [one for one in graded if one.chapter == chapter]
    rows = [row for row in statistics_rows if row["chapter"] == chapter]
    scores = [one.score for one in submissions]
    titles, students = by_question(graded, chapter)
    return {
        "id": chapter,
        "title": chapter_title(chapter, task.title),
        "notebooks": len(submissions),
        "mean": number(round(mean(scores), 2)),
        "median": number(median(scores)),
        "points": number(task.points),
        "chart": question_chart(submissions, rows).as_html() if rows else "",
        "questions": [_question(row) for row in rows],
        "heads": (say("student"), say("score"), *titles),
        "students": students,
    }


def _question(row: dict) -> tuple[str, ...]:
    mistakes = ", ".join(f"{name} ({count})" for name, count in row["mistakes"])
    discrimination = "-" if row["discrimination"] is None else f"{row['discrimination']:.2f}"
    attempted = say("{attempted} of {total}", attempted=row["attempted"], total=row["n"])
    return (say(row["title"]), attempted, f"{row['difficulty']:.0%}", discrimination, mistakes)


def _trouble(graded: Sequence[Graded]) -> list[tuple[str, ...]]:
    """(student, chapter, question, reason) for files that could not be read and answers that could not be judged."""
    rows = [(one.student, one.chapter, say("the file"), say(one.problem)) for one in graded if one.problem]
    for one in graded:
        rows += [
            (one.student, one.chapter, say(m.title), m.message)
            for m in one.marks
            if m.status in (MarkStatus.STOPPED, MarkStatus.OWN_CODE)
        ]
    return rows


def _change(change: Change) -> list[str]:
    time, who, kind, *where, why = change.as_row()
    return [time, who, say(kind), *where, say(why)]


def _alike(group: Group) -> tuple[str, ...]:
    [title] = [q.title for q in assignment(group.chapter).questions if q.grade_id == group.question]
    share = say("letter for letter") if group.identical else say("{share:.0%} or more", share=group.alike)
    outcome = say("right") if group.passed else say("not all right")
    return (group.chapter, say(title), ", ".join(group.students), share, outcome)
