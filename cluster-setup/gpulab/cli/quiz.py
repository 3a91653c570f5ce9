"""`gpulab quiz`: one question after another; each answer is saved at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from autograders.errors import InputError
from autograders.load import Exercise
from autograders.model import Answers
from autograders.quiz import RULES, Question, read_answers, save_answer
from autograders.quiz.entry import as_text, read_entry
from autograders.quiz.manual import SelfMark, fingerprint, points
from autograders.quiz.marking import is_blank
from gpulab import progress
from gpulab.cli.lab import out
from gpulab.workspace import answers_file

LEAVE = ":q"
HELP = f"Enter: later. {LEAVE}: stop here; every answer is saved as you give it."
SEVERAL_LINES = "Several lines: end with a line that has only a dot. @file reads a file."


class Left(Exception):
    """The learner goes on another time."""


def quiz(text: str, *, listing: bool, again: bool, mark: bool) -> None:
    """Ask what is not answered yet; with `again` everything, with `mark` one's own marks."""
    from gpulab.cli.exercises import exercise_of

    exercise = exercise_of(text)
    file = answers_file(exercise.id)
    answers = read_answers(file)
    if not exercise.questions:
        raise InputError(f"{exercise.title} has no questions", f"gpulab check {exercise.short}")
    if listing:
        return show_all(exercise, answers)
    if not sys.stdin.isatty():
        do = f"run it in a terminal, or edit {file}; gpulab quiz {exercise.short} --list shows it"
        raise InputError("nobody is there to answer", do)
    try:
        if mark:
            mark_own(exercise, answers)
        else:
            ask_all(
                exercise,
                file,
                [each for each in exercise.questions if again or open_(each, answers)],
            )
    except (Left, EOFError):
        say("")
    finish(exercise, read_answers(file))


def open_(question: Question, answers: Answers) -> bool:
    return is_blank(answers.get(question.id))


def say(text: str, style: str | None = None) -> None:
    out.print(text, style=style, markup=False, highlight=False)


def show_all(exercise: Exercise, answers: Answers) -> None:
    """Every question with what is saved, for the eye and for a pipe."""
    for number, question in enumerate(exercise.questions, 1):
        say(f"{number}. {question.id} ({kind(question)}): {question.text}", "bold")
        for line in options(question):
            say(line)
        answer = as_text(answers.get(question.id)).rstrip("\n")
        say(f"   saved: {indented(answer)}" if answer else "   not answered yet")


def kind(question: Question) -> str:
    by_hand = ", by hand" if question.by_hand else ""
    return f"{question.type}, {question.points:g} point{'s' * (question.points != 1)}{by_hand}"


def options(question: Question) -> Iterator[str]:
    return (f"   {each.id}) {each.text}" for each in question.options)


def indented(text: str) -> str:
    return text if "\n" not in text else "".join(f"\n      {each}" for each in text.split("\n"))


def ask_all(exercise: Exercise, file: Path, questions: list[Question]) -> None:
    total = len(exercise.questions)
    if questions:
        say(HELP, "dim")
    for question in questions:
        number = exercise.questions.index(question) + 1
        say(f"\n{number} of {total}: {question.text} ({kind(question)})", "bold")
        for line in (RULES.get(question.type, ""), *options(question)):
            if line:
                say(line)
        if saved := as_text(read_answers(file).get(question.id)):
            say(f"saved: {indented(saved)}", "dim")
        ask(question, file)


def ask(question: Question, file: Path) -> None:
    """Ask until the answer can be read, and save it; whether it is right, `check` says."""
    if question.type in ("yaml", "free"):
        say(SEVERAL_LINES, "dim")
    while True:
        try:
            answer = read_entry(question, typed(question))
        except InputError as problem:
            say(f"{problem.what}; {problem.do}")
            continue
        if answer is not None:
            save_answer(file, question.id, answer)
        return


def typed(question: Question) -> str:
    first = prompt(f"{question.unit} > " if question.unit else "> ")
    if question.type not in ("yaml", "free") or not first.strip():
        return first
    if first.startswith("@"):
        return content(Path(first[1:].strip()).expanduser())
    lines = [first]
    while (line := input()) != ".":
        lines.append(line)
    return "\n".join(lines)


def content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "name a file that exists") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8", "save it as UTF-8") from None


def prompt(text: str) -> str:
    line = input(text)
    if line.strip() == LEAVE:
        raise Left
    return line


def mark_own(exercise: Exercise, answers: Answers) -> None:
    """Show each free text beside its rubric; the points are kept apart from the score."""
    for question in (each for each in exercise.questions if each.by_hand):
        say(f"\n{question.text}", "bold")
        answer = answers.get(question.id)
        if answer is None or is_blank(answer):
            say("not answered yet")
            continue
        say(f"You wrote: {indented(as_text(answer))}")
        say(f"A good answer: {question.explanation}")
        given = tuple(ask_points(each.text, each.points) for each in question.rubric)
        progress.keep_mark(exercise.id, question.id, SelfMark(fingerprint(answer), given))


def ask_points(text: str, most: float) -> float:
    while True:
        line = prompt(f"{text} (0 to {most:g}) > ").strip() or "0"
        try:
            value = float(line)
        except ValueError:
            value = -1.0
        if 0 <= value <= most:
            return value
        say(f"write a number from 0 to {most:g}")


def finish(exercise: Exercise, answers: Answers) -> None:
    answered = sum(not open_(each, answers) for each in exercise.questions)
    say(f"\n{answered} of {len(exercise.questions)} answered. ", "bold")
    if answered < len(exercise.questions):
        say(f"gpulab quiz {exercise.short} goes on; gpulab check {exercise.short} marks.")
    else:
        say(f"gpulab check {exercise.short} marks them; --again lets you change one.")
    marks = progress.read(exercise.id).self_marks
    for each in exercise.questions:
        answer = answers.get(each.id)
        if each.by_hand and answer and points(each, answer, marks.get(each.id)) is None:
            say(f"{each.id} is marked by hand: gpulab quiz {exercise.short} --mark")
