"""nbgrader on the folders of this repository; what it makes for a class is in exercises/_class.

Its own lists of steps are replaced, because they would run a submission's code beside the
gradebook, and would read marks from what its cells print.
"""

from pathlib import Path

from nbgrader import preprocessors as steps

from autograders.nbgrader import SaveVerdict

EXERCISES = Path(__file__).resolve().parent / "exercises"
CLASS = EXERCISES / "_class"
CLASS.mkdir(mode=0o700, exist_ok=True)  # SQLite makes the file, not the folder

c = get_config()  # noqa: F821 (nbgrader defines it)

c.CourseDirectory.root = str(EXERCISES)
c.CourseDirectory.source_directory = "."
for step in ("release", "submitted", "autograded", "feedback"):
    setattr(c.CourseDirectory, f"{step}_directory", f"_class/{step}")
c.CourseDirectory.db_url = f"sqlite:///{CLASS / 'gradebook.db'}"
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "__pycache__",
    "solution",
    "alternatives",
    "wrong",
    "checks_hidden.py",
    "mutants.toml",  # names what is a right answer, and what is not
    "quiz.toml",  # has the answers
]

c.GenerateAssignment.preprocessors = [
    steps.LockCells,
    steps.ClearOutput,
    steps.CheckCellMetadata,
    steps.ComputeChecksums,
    steps.SaveCells,
    steps.CheckCellMetadata,
]
c.Autograde.sanitize_preprocessors = [
    steps.ClearOutput,
    steps.DeduplicateIds,
    steps.OverwriteKernelspec,
    steps.OverwriteCells,
    steps.CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    SaveVerdict,
    steps.AssignLatePenalties,
    steps.CheckCellMetadata,
]
c.SaveVerdict.verdicts = str(CLASS / "verdicts")
c.ExportPlugin.to = str(CLASS / "grades.csv")
