"""Exercise 3: each plan is told what is right and what is not, for whatever nodes were drawn."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from autograders.load import Exercise, load_exercise
from autograders.model import Evidence, Phase, Report
from autograders.run import decide
from gpulab import own_nodes, trial
from gpulab.fleets import load_fleet
from gpulab.paths import ROOT
from tests.conftest import Lab, eventually, make_lab, said
from tests.recordings import failures, recorded

ABOUT = ("exercises/03-", "autograders/")
pytestmark = pytest.mark.sample(*ABOUT)
NAME = "03-plan-ten-jobs"
FOLDER = ROOT / "exercises" / NAME
EXERCISE, EVIDENCE, ANSWERS = recorded(NAME)
TRIALS = ["on-the-minimum", "on-one-fewer", "with-strays", "after-drain"]
SHAPES = list(product((4, 8), (96, 128, 256)))
Object = dict[str, Any]


def drawn(gpus: int, memory_gib: int) -> Exercise:
    return load_exercise(FOLDER, {"gpus": gpus, "memory_gib": memory_gib})


def graded(evidence: Evidence = EVIDENCE, **answers: Any) -> Report:
    return decide(EXERCISE, evidence, {**ANSWERS, **answers})


@pytest.mark.parametrize(
    ("gpus", "memory_gib", "minimum", "with_strays", "without_one"),
    [  # by hand: the smaller of GPUs / 2 and (memory - 12 GiB) / 32 GB, rounded down, per node
        (4, 96, 5, 5, 8),
        (4, 128, 5, 5, 8),
        (4, 256, 5, 5, 8),
        (8, 96, 5, 10, 8),
        (8, 128, 4, 10, 9),
        (8, 256, 3, 9, 8),
    ],
)
def test_what_follows_from_a_node(
    gpus: int, memory_gib: int, minimum: int, with_strays: int, without_one: int
) -> None:
    found = drawn(gpus, memory_gib)
    wanted = {"minimum": minimum, "one_more": minimum + 1, "with_strays": with_strays}
    assert found.derived.items() >= {**wanted, "without_one": without_one}.items()
    key = next(each for each in found.keys if each.question == "minimum_nodes")
    assert key(trial_view(found)) == minimum


def trial_view(found: Exercise) -> Any:
    from autograders.cluster import Cluster

    return Cluster(EVIDENCE.phases, found.namespace, found.id, found.variant, ANSWERS)


@pytest.mark.parametrize(("gpus", "memory_gib"), SHAPES)
def test_every_drawn_shape_has_nodes_to_plan_with(
    gpus: int, memory_gib: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPULAB_HOME", str(tmp_path))
    groups = {
        each.name: each for each in load_fleet(own_nodes.fleet_of(drawn(gpus, memory_gib))).nodes
    }
    h100 = groups["h100"]
    assert (h100.gpus, h100.memory_gib, h100.reserved.memory_gib) == (gpus, memory_gib, 12)
    assert h100.count >= int(drawn(gpus, memory_gib).derived["one_more"])
    assert groups["a100"].gpus >= 2


def test_points_are_ten_and_two_for_a_person() -> None:
    assert (EXERCISE.max_score, EXERCISE.manual_max) == (10.0, 2.0)
    assert (graded().score, graded().full_marks) == (10.0, True)


def test_the_recording_has_a_phase_for_each_trial() -> None:
    assert [each.name for each in EVIDENCE.phases] == ["as-found", *TRIALS, "final"]
    assert all(each.probes for each in EVIDENCE.phases[1:-1])
    strays = [each for each in EVIDENCE.phases[3].probes if each.startswith("stray")]
    assert len(strays) == EXERCISE.derived["minimum"]
    assert len([each for each in EVIDENCE.phases[4].probes if each.startswith("drain")]) == 1


@pytest.mark.parametrize(
    ("answers", "failed"),
    [
        ({"minimum_nodes": 2}, {"minimum_nodes"}),
        ({"planned_nodes": 10}, {"planned_nodes", "planned_reason"}),
        ({"planned_reason": "a"}, {"planned_reason"}),
        ({"planned_reason": "d"}, {"planned_reason"}),
        ({"jobs_with_strays": 0}, {"jobs_with_strays"}),
        ({"jobs_after_drain": 9}, {"jobs_after_drain"}),
        ({"why_these_rules": ""}, set()),
    ],
)
def test_each_wrong_number_costs_its_own_point(answers: Object, failed: set[str]) -> None:
    assert failures(graded(**answers)) == failed


def without_trials(provider: str) -> Evidence:
    return replace(EVIDENCE, provider=provider, phases=(EVIDENCE.phases[0], EVIDENCE.phases[-1]))


def test_on_a_cluster_that_is_only_read_the_trials_count_for_nothing() -> None:
    report = graded(without_trials("existing"))
    assert (report.score, report.max_score, failures(report)) == (5.0, 5.0, set())
    told = [each for each in report.warnings if each.startswith("not on this provider")]
    left = {each.split(": ")[1].split()[0] for each in told}
    tried = {"fit_on_the_minimum", "need_the_minimum", "jobs_with_strays", "jobs_after_drain"}
    assert left == tried


def test_without_a_job_nothing_is_tried_and_nothing_is_broken() -> None:
    untried = tuple(Phase(each, untried="there is no running Job") for each in TRIALS)
    final = replace(EVIDENCE.phases[0], name="final")
    report = decide(EXERCISE, replace(EVIDENCE, phases=(EVIDENCE.phases[0], *untried, final)), {})
    assert (report.score, report.undecided) == (0.0, 0.0)


def spread() -> Object:
    job: Object = yaml.safe_load(
        (FOLDER / "wrong/fit_on_the_minimum.anti-affinity/jobs.yaml").read_text()
    )
    return job


def test_the_wasteful_answer_is_the_required_one() -> None:
    rules = spread()["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    assert list(rules) == ["requiredDuringSchedulingIgnoredDuringExecution"]


# -- on a lab of its own


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A learner who has started the exercise, in a lab at the speed that learners have."""
    for made in make_lab(tmp_path_factory.mktemp("plan"), "plan"):
        what, do = said(made.gpulab("start", "03"))
        assert "the lab's nodes go" in what
        assert "gpulab start 03 --yes" in do
        done = made.gpulab("start", "03", "--yes")
        assert done.returncode == 0, done.stderr
        yield made


def solve(planner: Lab, name: str = "") -> None:
    """Apply the solution, or what differs from it."""
    values = planner.work / "exercises" / NAME / "variant.toml"
    import tomllib

    exercise = load_exercise(FOLDER, tomllib.loads(values.read_text()))
    folders = [FOLDER / "solution"] + ([FOLDER / name] if name else [])
    with trial.laid_out(exercise, *folders) as laid:
        for file in ("jobs.yaml", "answers.toml"):
            (values.parent / file).write_text((laid / file).read_text())
    jobs = (values.parent / "jobs.yaml").read_text()
    done = planner.kubectl("replace", "--force", "-f", "-", given=jobs)
    assert done.returncode == 0, done.stderr


def state(planner: Lab) -> Object:
    """All that trials must leave as it was."""
    found: Object = {}
    for kind in ("nodes", "jobs -n gpu-plan", "pods -n default", "roles,rolebindings -A"):
        for each in planner.get(*kind.split())["items"]:
            meta, spec = each["metadata"], each.get("spec") or {}
            found[f"{each['kind']}/{meta['name']}"] = (meta["uid"], meta.get("labels"), spec)
    cluster = planner.get("clusterroles,clusterrolebindings")["items"]
    return found | {each["metadata"]["name"]: each["kind"] for each in cluster}


def check(planner: Lab) -> Object:
    done = planner.gpulab("check", "03", "--json", seconds=150)
    assert done.returncode in (0, 1), done.stderr
    found: Object = json.loads(done.stdout)
    return found


def settled(planner: Lab) -> None:
    def ready() -> bool:
        pods = planner.get("pods", "-n", "gpu-plan")["items"]
        return len([each for each in pods if each["status"]["phase"] == "Running"]) == 10

    eventually(ready, 40)


@pytest.mark.live
def test_as_shipped_it_scores_exactly_0(planner: Lab) -> None:
    assert check(planner)["score"] == 0


@pytest.mark.live
def test_the_solution_gets_full_marks_and_the_cluster_is_as_it_was(planner: Lab) -> None:
    solve(planner)
    settled(planner)
    before = state(planner)
    report = check(planner)
    assert (report["score"], report["max_score"]) == (10.0, 10.0)
    after = state(planner)
    assert {k: v for k, v in after.items() if before.get(k) != v} == {}
    assert before.keys() == after.keys()
    settled(planner)
    assert not (planner.root / "probing.json").exists()
    job = planner.get("job", "train", "-n", "gpu-plan")
    assert not job["status"].get("failed")


@pytest.mark.live
def test_required_anti_affinity_loses_the_points_for_efficiency_and_shows_the_count(
    planner: Lab,
) -> None:
    solve(planner, "wrong/fit_on_the_minimum.anti-affinity")
    report = check(planner)
    failed = {
        each["name"]: each["seen"] for each in report["checks"] if each["outcome"] == "failed"
    }
    assert failed.keys() >= {"fit_on_the_minimum"}
    words = failed["fit_on_the_minimum"].split()
    assert words[1] == words[10]  # as many run as there are nodes
    assert not failed.keys() & {"ask_for_their_share", "run_all_at_once"}


@pytest.mark.live
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_trial_that_is_ended_is_put_right(planner: Lab, how: signal.Signals) -> None:
    solve(planner)
    settled(planner)
    before = state(planner)
    running = planner.begin("check", "03")
    closed = "spec.unschedulable=true"
    eventually(lambda: planner.get("nodes", f"--field-selector={closed}")["items"], 30)
    running.send_signal(how)
    running.communicate(timeout=60)
    if how is signal.SIGKILL:
        assert planner.get("nodes", f"--field-selector={closed}")["items"]
        assert planner.gpulab("start", "03").returncode == 0
    after = state(planner)
    assert {k: v for k, v in after.items() if before.get(k) != v} == {}
    assert after.keys() == before.keys()
    settled(planner)


@pytest.mark.live
def test_two_checks_at_once_try_one_after_the_other(planner: Lab) -> None:
    solve(planner)
    settled(planner)
    before = state(planner)
    first = planner.begin("check", "03")
    eventually(lambda: (planner.root / "probing.json").exists(), 20)
    assert check(planner)["score"] == 10.0
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert state(planner) == before


@pytest.mark.live
def test_nobody_may_act_as_the_probe_once_it_is_over(planner: Lab) -> None:
    solve(planner)
    check(planner)
    may = planner.kubectl("auth", "can-i", "patch", "nodes", "--as", "gpulab-probe")
    assert may.stdout.strip() == "no"


@pytest.mark.live
def test_another_exercise_or_a_reset_brings_the_labs_own_nodes_back(planner: Lab) -> None:
    assert "gpulab start 01 --yes" in said(planner.gpulab("start", "01"))[1]
    assert "gpulab reset --lab --yes" in planner.gpulab("reset", "--lab").stderr
    planner.gpulab("down")
    assert "gpulab up" in said(planner.gpulab("reset", "--lab", "--yes"))[1]
    assert planner.gpulab("up").returncode == 0
    done = planner.gpulab("reset", "--lab", "--yes")
    assert done.returncode == 0, done.stderr
    assert planner.gpulab("start", "01").returncode == 0
    names = {each["metadata"]["name"] for each in planner.get("nodes")["items"]}
    assert names == {"h100-1", "h100-2", "a100-1", "l40s-1", "cpu-1"}
    assert planner.status()["ready"]
    what, do = said(planner.gpulab("check", "03"))
    assert "other nodes" in what
    assert "gpulab start 03 --yes" in do
    assert "usual nodes" in planner.gpulab("reset", "--lab").stdout
    assert "name an exercise" in said(planner.gpulab("reset"))[0]
