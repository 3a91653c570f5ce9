"""Questions: the answers that a learner wrote down, and whether they are right."""

from autograders.quiz.answers import parse_answers, read_answers, save_answer
from autograders.quiz.marking import judge
from autograders.quiz.question import RULES, Option, Question, Quiz

__all__ = [
    "RULES",
    "Option",
    "Question",
    "Quiz",
    "judge",
    "parse_answers",
    "read_answers",
    "save_answer",
]
