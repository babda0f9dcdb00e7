"""What people read after grading: a page for every student, one to mark written answers by, and a summary for the instructor.

Everything that a student wrote is escaped, and no page may run a script or load anything.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from statistics import mean, median
from urllib.parse import quote

from ..course.page import STYLE, badge
from .alike import Group
from .assignment import assignment
from .by_hand import SHEET, written
from .charts import mistakes_chart, question_chart, resources_chart
from .grade import Graded, Mark
from .gradebook import number, statistics

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_MORE = """
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3em 0; padding: .5em .8em; border-left: 3px solid var(--line); }
.passed, .marked { background: #2e7d32; } .stopped { background: #b3261e; } .own, .by { background: #8a5a00; }
figure { margin: 1em 0; } figure img { background: white; } h2 { margin-top: 2em; } h3 { margin-bottom: .2em; }
"""
_PRINTED = 2000


def file_name(student: str) -> str:
    """A name for the student's page: the student's own where it can be a file's, with a mark of its own where not."""
    plain = re.sub(r"[^\w. -]+", "_", student).strip(". ")[:60] or "student"
    own = sha256(student.encode(errors="surrogatepass")).hexdigest()[:6]
    return f"{plain}.html" if plain == student else f"{plain}-{own}.html"


def feedback_page(student: str, graded: Sequence[Graded]) -> str:
    """One student's page: every question with its outcome, the smallest failing case, the known mistake and its hint."""
    got, most = sum(one.score for one in graded), sum(one.max_score for one in graded)
    parts = [f"<p>{number(got)} of {number(most)} points.</p>"]
    for one in sorted(graded, key=lambda one: one.chapter):
        title = f"{one.chapter} {assignment(one.chapter).title}" if one.chapter else one.path
        parts.append(f"<h2>{escape(title)}: {number(one.score)} of {number(one.max_score)}</h2>")
        if one.problem:
            parts.append(f"<p><strong>This file could not be graded:</strong> {_text(one.problem)}.</p>")
        parts += [f"<p class='quiet'>{_text(note)}.</p>" for note in one.notes]
        parts += [_question(one, mark) for mark in one.marks]
        if one.output.strip():
            parts.append(_folded("What your cells printed", one.output[:_PRINTED]))
    return _page(f"Feedback for {student}", "".join(parts))


def marking_page(graded: Iterable[Graded]) -> str:
    """The written answers, question by question, each beside what the course expects."""
    by_question = defaultdict(list)
    for one, mark in written(graded):
        by_question[one.chapter, mark.grade_id].append((one, mark))
    parts = [f"<p>Write scores and comments into {SHEET}, then run <code>fewshot-lab grade --merge --out FOLDER</code>.</p>"]
    for (chapter, question), answers in sorted(by_question.items()):
        task = assignment(chapter)
        parts.append(f"<h2>Chapter {chapter}, {escape(question)}: up to {number(answers[0][1].max_score)} points</h2>")
        parts.append(_folded("What the course expects", task.solved.get(question, ""), opened=True))
        for one, mark in answers:
            score = f" {badge('marked')} {number(mark.score)}" if mark.status == "marked" else ""
            parts.append(f"<h3>{_text(one.student)}{score}</h3><pre>{_text(one.answers.get(question, ''))}</pre>")
    return _page("To mark by hand", "".join(parts))


def summary_page(graded: Sequence[Graded], groups: Sequence[Group], remarks: Sequence[str] = ()) -> str:
    """The instructor's page: scores, questions, mistakes, trouble, near-identical answers, time and memory."""
    students = len({one.student for one in graded})
    parts = [f"<p>{len(graded)} notebooks of {students} students.</p>", *(f"<p>{_text(remark)}.</p>" for remark in remarks)]
    found = statistics(graded)
    for chapter in sorted({one.chapter for one in graded if one.chapter}):
        whole = [one for one in graded if one.chapter == chapter]
        rows = [row for row in found if row["chapter"] == chapter]
        scores = [one.score for one in whole]
        most = number(assignment(chapter).points)
        parts.append(f"<h2>{chapter} {escape(assignment(chapter).title)}</h2><p>{len(whole)} notebooks; mean ")
        parts.append(f"{number(round(mean(scores), 2))}, median {number(median(scores))} of {most} points.</p>")
        if rows:
            parts += [question_chart(whole, rows).as_html(), _questions(rows)]
    if named := Counter((one.chapter, mark.title, mark.mistake) for one in graded for mark in one.marks if mark.mistake):
        parts += ["<h2>Most frequent mistakes</h2>", mistakes_chart(named.most_common(12)).as_html()]
    parts += [_trouble(graded), _alike(groups), "<h2>Time and memory</h2>", resources_chart(graded).as_html()]
    links = [f"<li><a href='feedback/{quote(file_name(s))}'>{_text(s)}</a></li>" for s in sorted({g.student for g in graded})]
    parts.append(f"<h2>Feedback</h2><ul>{''.join(links)}</ul>")
    return _page("Grades", "".join(parts))


def _question(one: Graded, mark: Mark) -> str:
    heading = f"<h3>{badge(mark.status)} {_text(mark.title)}: {number(mark.score)} of {number(mark.max_score)}</h3>"
    details = "".join(f"<pre>{_text(line)}</pre>" if "\n" in line else f"<p>{_text(line)}</p>" for line in mark.details)
    mine = one.answers.get(mark.grade_id, "") if mark.status != "not attempted" else ""
    return f"{heading}<p>{_text(mark.message)}</p>{details}{_folded('Your answer', mine) if mine else ''}"


def _questions(rows: Sequence[dict]) -> str:
    heads = ("question", "attempted", "share of the points", "discrimination", "most frequent mistakes")
    lines = []
    for row in rows:
        mistakes = ", ".join(f"{name} ({count})" for name, count in row["mistakes"])
        told = "-" if row["discrimination"] is None else f"{row['discrimination']:.2f}"
        cells = (row["title"], f"{row['attempted']} of {row['n']}", f"{row['difficulty']:.0%}", told, mistakes)
        lines.append(cells)
    note = "Discrimination: the correlation of the question's points with the rest of the chapter's (-: nothing varies)."
    return f"{_table(heads, lines)}<p class='quiet'>{note}</p>"


def _trouble(graded: Sequence[Graded]) -> str:
    lines = [(one.student, one.chapter, "the file", one.problem) for one in graded if one.problem]
    for one in graded:
        lines += [(one.student, one.chapter, m.title, m.message) for m in one.marks if m.status in ("stopped", "own code")]
    return "<h2>Trouble</h2>" + (_table(("student", "chapter", "question", "what"), lines) if lines else "<p>None.</p>")


def _alike(groups: Sequence[Group]) -> str:
    about = "<h2>Answers that are nearly the same</h2><p class='quiet'>For your judgement, no verdict: short answers are alike "
    about += "by nature. What was handed out, what many have, and the names of variables are left aside.</p>"
    lines = []
    for group in groups:
        same = "letter for letter" if group.identical else f"{group.alike:.0%} or more"
        outcome = "right" if group.passed else "not all right"
        [title] = [q.title for q in assignment(group.chapter).questions if q.grade_id == group.question]
        lines.append((group.chapter, title, ", ".join(group.students), same, outcome))
    heads = ("chapter", "question", "students", "alike", "answers")
    return about + (_table(heads, lines) if lines else "<p>None.</p>")


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th scope='col'>{head}</th>" for head in heads)
    named = "".join(
        "<tr>" + "".join(f"<td data-name='{h}'>{_text(c)}</td>" for h, c in zip(heads, line, strict=True)) + "</tr>"
        for line in lines
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{named}</tbody></table>"


def _folded(title: str, text: str, opened: bool = False) -> str:
    return f"<details{' open' if opened else ''}><summary>{title}</summary><pre>{_text(text)}</pre></details>"


def _text(text: str) -> str:
    """Text that a page may hold: escaped, lone surrogates replaced."""
    return escape(text.encode(errors="replace").decode())


def _page(title: str, body: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title><style>{STYLE}{_MORE}</style></head><body>
<h1>{_text(title)}</h1>
{body}
</body></html>
"""
