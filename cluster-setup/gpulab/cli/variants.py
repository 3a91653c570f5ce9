"""`gpulab variant`: what an author or teacher looks up for one learner."""

from __future__ import annotations

from pathlib import Path

from autograders import variants
from autograders.errors import InputError
from autograders.load import Exercise, find_exercise, load_exercise, read_variant
from gpulab.paths import ROOT


def show(text: str, learner: str, secret_file: Path | None) -> None:
    """Print task, values, key and solution of one learner."""
    from gpulab import variant

    folder = find_exercise(ROOT / "exercises", text)
    spec = read_variant(folder)
    if spec is None:
        raise InputError(f"{folder.name} is the same for all learners", f"see {folder}/solution")
    secret = variant.class_secret(secret_file) if secret_file else variant.own_secret()
    values = variants.draw(spec, variants.seed_of(secret, learner, folder.name))
    exercise = load_exercise(folder, values)
    parts = [f"# Task\n\n{exercise.task.strip()}", f"# Key\n\n{key(exercise)}"]
    parts += [f"# solution/{name}\n\n{content.strip()}" for name, content in solution(exercise)]
    print("\n\n".join(parts))  # noqa: T201 (may go into a file)


def key(exercise: Exercise) -> str:
    """The drawn values, and how each question is answered."""
    lines = [f"{name} = {value}" for name, value in exercise.values.items()]
    for question in exercise.questions:
        known = question.answer is not None
        lines.append(f"{question.id} = {question.answer if known else 'from the cluster'}")
    return "\n".join(lines)


def solution(exercise: Exercise) -> list[tuple[str, str]]:
    """File name and content, with the learner's values."""
    files = sorted(path for path in (exercise.folder / "solution").iterdir() if path.is_file())
    return [
        (path.name, variants.render(path.read_text(), exercise.values, str(path))) for path in files
    ]
