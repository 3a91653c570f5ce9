"""Each type of question: what is right, what earns part of the points, and what is said."""

from __future__ import annotations

from itertools import chain, combinations, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.model import Answer, CheckFailed, NotYet, Partly, Probe, Unreadable
from autograders.quiz import Option, Question, judge
from autograders.quiz.manual import SelfMark, fingerprint, points, to_mark
from autograders.quiz.question import Criterion

IDS = "abcde"
OPTIONS = tuple(Option(each, f"text {each}", f"reason {each}") for each in IDS)


def question(type: Any, **more: Any) -> Question:
    return Question("q", type, 1, "What?", "Because.", source="https://example.org", **more)


def said(asked: Question, answer: Answer, key: Any, **more: Any) -> str:
    return judge(asked, {"q": answer}, lambda: key, **more)


def failure(asked: Question, answer: Answer, key: Any, **more: Any) -> CheckFailed:
    with pytest.raises(CheckFailed) as failed:
        said(asked, answer, key, **more)
    assert failed.value.seen
    assert failed.value.next
    return failed.value


@pytest.mark.parametrize("answer", ["b", "B", " b ", ("b",)])
def test_a_right_choice_is_explained_by_its_option(answer: Answer) -> None:
    assert said(question("choice", options=OPTIONS), answer, "b") == "b: reason b Because."


def test_a_wrong_choice_is_told_why_it_is_wrong_and_nothing_about_the_others() -> None:
    problem = failure(question("choice", options=OPTIONS), "a", "b")
    assert problem.seen == "your answer a is not right: reason a"
    assert problem.next == "read https://example.org"


@pytest.mark.parametrize("answer", ["f", "text b", 1, ("b", "b")])
def test_what_is_no_option_is_answered_with_the_options(answer: Answer) -> None:
    problem = failure(question("choice", options=OPTIONS), answer, "b")
    assert "a, b, c, d, e" in problem.next


def test_two_choices_are_one_too_many() -> None:
    assert failure(question("choice", options=OPTIONS), ("b", "c"), "b").next == "choose one"


def share(chosen: tuple[str, ...], right: tuple[str, ...]) -> float:
    try:
        said(question("multiple", options=OPTIONS), chosen, right)
    except Partly as part:
        return part.share
    return 1.0


SUBSETS = [tuple(each) for n in range(1, 6) for each in combinations(IDS, n)]


@pytest.mark.parametrize("right", [each for each in SUBSETS if len(each) < 5])
def test_partial_credit_is_full_only_for_the_key_and_nothing_for_everything(
    right: tuple[str, ...],
) -> None:
    shares = {chosen: share(chosen, right) for chosen in SUBSETS}
    assert [chosen for chosen, part in shares.items() if part == 1.0] == [right]
    assert shares[tuple(IDS)] == 0.0
    assert all(0.0 <= part <= 1.0 for part in shares.values())


@given(st.sets(st.sampled_from(IDS), min_size=1, max_size=4), st.data())
def test_one_more_right_option_never_costs_and_one_more_wrong_one_never_pays(
    right: set[str], data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.sampled_from(IDS), min_size=1, max_size=4))
    more = data.draw(st.sampled_from(sorted(set(IDS) - chosen)))
    before = share(tuple(sorted(chosen)), tuple(right))
    after = share(tuple(sorted(chosen | {more})), tuple(right))
    assert after >= before if more in right else after <= before


def test_a_multiple_choice_names_the_wrong_ones_and_not_those_that_are_missing() -> None:
    problem = failure(question("multiple", options=OPTIONS), ("a", "b"), ("a", "c"))
    assert problem.seen == "you chose a, b: 1 of 2 right ones, and 1 wrong; b: reason b"


def test_only_one_order_is_right() -> None:
    asked, key = question("order", options=OPTIONS), ("b", "a", "c", "e", "d")
    for each in permutations(IDS):
        if each == key:
            assert said(asked, each, key).startswith("b, a, c, e, d: Because.")
        else:
            assert "is not right" in failure(asked, each, key).seen


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (("b", "a"), "c, d, e has no place yet"),
        (("b", "", "c", "e", "d"), "a place is still empty"),
        (("b", "b", "c", "e", "d"), "b stands there twice"),
        (("b", "x", "c", "e", "d"), "'x' is none of the options"),
    ],
)
def test_an_order_with_gaps_is_told_what_is_missing(answer: Answer, seen: str) -> None:
    assert failure(question("order", options=OPTIONS), answer, tuple(IDS)).seen == seen


@pytest.mark.parametrize("answer", ["", "  ", (), ("", "")])
@pytest.mark.parametrize("type", ["text", "number", "choice", "multiple", "order", "yaml"])
def test_nothing_is_no_answer_whatever_the_type(type: str, answer: Answer) -> None:
    problem = failure(question(type, options=OPTIONS if type in RULED else ()), answer, "b")
    assert problem.seen == "not answered yet"
    assert "q = " in problem.next


RULED = ("choice", "multiple", "order")
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
OBJECT = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
ACCEPTED = Probe({"object": OBJECT}, 201, {**OBJECT, "spec": {"x": 1}})
REFUSED = Probe({"object": OBJECT}, 422, {"kind": "Status", "code": 422, "message": "no\n good"})
NOT_SENT = Probe({"object": OBJECT}, 0, {"kind": "Status", "message": "no such kind"})


def test_an_accepted_manifest_is_compared_with_what_the_api_server_made_of_it() -> None:
    asked = question("yaml")
    assert said(asked, POD, "spec: {x: 1}", tried=lambda: ACCEPTED).startswith(
        "the API server accepts it: Because."
    )
    seen = failure(asked, POD, "spec: {x: 2}", tried=lambda: ACCEPTED).seen
    assert seen == "the API server accepts it, but in its answer spec.x is 1"


def test_a_refusal_is_told_in_the_api_servers_words() -> None:
    seen = failure(question("yaml"), POD, "kind: Pod", tried=lambda: REFUSED).seen
    assert seen == "the API server refuses it (422): no good"


def test_a_refusal_may_be_what_is_wanted() -> None:
    asked, key = question("yaml"), "{kind: Status, code: 422}"
    assert said(asked, POD, key, tried=lambda: REFUSED).startswith("the API server refuses it")
    assert failure(asked, POD, key, tried=lambda: ACCEPTED).seen == "the API server accepts it"
    assert "not sent" in failure(asked, POD, key, tried=lambda: NOT_SENT).seen


@pytest.mark.parametrize("tried", [None, lambda: Probe({"object": {}}, 201, OBJECT)])
def test_an_answer_that_nobody_tried_is_not_the_learners_fault(tried: Any) -> None:
    with pytest.raises(Unreadable):
        said(question("yaml"), POD, POD, tried=tried)


@pytest.mark.parametrize("answer", ["a: [", "- a", "a: &x 1\nb: *x", "text", 5, "a: .nan"])
def test_what_is_no_manifest_is_refused_before_anybody_tries_it(answer: Answer) -> None:
    failure(question("yaml"), answer, POD, tried=lambda: pytest.fail("tried"))


def test_a_key_may_say_not_yet() -> None:
    def key() -> Any:
        raise NotYet("on its way", "check again")

    with pytest.raises(NotYet):
        judge(question("number"), {"q": 1}, key)


RUBRIC = (Criterion("one", 2), Criterion("two", 1))


def test_a_free_text_is_for_a_person() -> None:
    asked = Question("q", "free", 3, "Why?", "Model.", rubric=RUBRIC)
    mark = to_mark(asked, {"q": "three short words"})
    assert (mark.seen, mark.max_points, mark.points) == ("answered in 3 words", 3.0, None)
    assert mark.rubric == ("one (2)", "two (1)")
    assert to_mark(asked, {}).seen == "not answered yet"


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (SelfMark(fingerprint("text"), (2.0, 0.5)), 2.5),
        (SelfMark(fingerprint(" text\n"), (9.0, -1.0)), 2.0),
        (SelfMark(fingerprint("other"), (2.0, 1.0)), None),
        (SelfMark(fingerprint("text"), (2.0,)), None),
        (None, None),
    ],
)
def test_own_marks_count_for_this_answer_and_rubric_alone(
    mark: SelfMark | None, expected: float | None
) -> None:
    asked = Question("q", "free", 3, "Why?", "Model.", rubric=RUBRIC)
    assert points(asked, "text", mark) == expected


def test_no_answer_of_any_kind_breaks_a_judge() -> None:
    odd: tuple[Answer, ...] = ("x" * 10_000, "\x00", "[]", (1, True), float("nan"), -1, False)
    for type, answer in chain((t, a) for t in ("text", "number", *RULED, "yaml") for a in odd):
        asked = question(type, options=OPTIONS if type in RULED else ())
        key: Any = {"number": 5, "yaml": POD, "text": "b"}.get(type, ("b",))
        failure(asked, answer, key, tried=lambda: ACCEPTED)
