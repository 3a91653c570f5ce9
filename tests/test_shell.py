"""The shell of simulated containers does what a real one does, and is pure as a main process."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulab.paths import DATA
from gpulab.sim.facts import Facts
from gpulab.sim.program import CannotStart, Program, Stdin, Write
from gpulab.sim.replay import Replay, Run, output
from gpulab.sim.shell import image
from gpulab.sim.workloads import Catalogue
from tests.test_sim_program import here

BEGAN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
WORKLOADS = Catalogue.load(DATA / "workloads")
REAL = shutil.which("dash") or shutil.which("sh") or "sh"
FOREVER = dt.timedelta(days=1)


def main(script: str, **more: object) -> Program:
    found = WORKLOADS.find(["sh", "-c", script], here(**more))
    assert isinstance(found, Program)
    return found


def simulated(script: str, stdin: bytes = b"") -> tuple[str, int]:
    """Output and exit code of a script beside a main process."""
    place = here()
    place = replace(place, files=image.files(place), stdin=Stdin(bytearray(stdin)))
    found = WORKLOADS.find(["sh", "-c", f"cd /tmp; {script}"], place)
    assert isinstance(found, Program)
    run = Run(found.script, BEGAN)
    text = "".join(getattr(event, "text", "") for event in run if _is_output(event))
    return text, run.code or 0


def _is_output(event: object) -> bool:
    return getattr(event, "stream", "") == "stdout"


def real(script: str, folder: Path, stdin: bytes = b"") -> tuple[str, int]:
    done = subprocess.run(
        [REAL, "-c", script],
        input=stdin,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": "/root"},
        capture_output=True,
        timeout=20,
        check=False,
    )
    return done.stdout.decode("utf-8", "surrogateescape"), done.returncode


SCRIPTS = [
    "echo $HOME ~ ${HOME:-x} ${NO:-x y} ${NO-z}${HOME:+set}",
    "a='x  y'; echo $a \"$a\" '$a' \\$a",
    "i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done; echo end $i",
    "for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done",
    "for i in 1 2 3; do if [ $i -eq 2 ]; then break; fi; echo $i; done",
    "if false; then echo a; elif true; then echo b; else echo c; fi",
    "until [ -f done ]; do echo not; touch done; done; ls",
    "echo one > f; echo two >> f; cat f; wc -l < f",
    "cat <<EOF\n$HOME is `echo home`\nEOF",
    "cat <<'EOF' > f\n$HOME\nEOF\ncat f",
    "(cd /; x=1; exit 3); echo $? $x; pwd | wc -l",
    "{ echo a; echo b; } | grep b",
    "echo err >&2; echo out; ls /nope 2>/dev/null || echo missing",
    "echo a | cat | wc -c || echo a",
    "set -e; false || true; echo on; false; echo off",
    "set -- a b; echo $1 $# $@; shift; echo $1",
    "echo $(echo $((2 * 3 + 4 / 2 - 1)) $((7 % 4)) $((-7 / 2)))",
    "x=$(false); echo $?; y=1 true; echo [$y]",
    "test -d /tmp && test ! -e nope && echo yes; [ a != b ] && [ -n a -a -z '' ]; echo $?",
    "printf '%s-%d\\n' a 1 b 2; printf 'x\\ty\\n'",
    "echo a b c | while read x y; do echo $y $x; done",
    "mkdir -p d/e; touch d/e/f; ls d; rm -r d; ls | wc -l",
    "touch a1 a2 b; echo a* ?1; echo *.none",
    "true && ! false; echo $?; ! true; echo $?",
    "exit 7",
    "trap 'exit 3' TERM; echo $?",
    "# a comment\necho a # another\necho 'b # c'",
    "echo 'it''s' \"a\\\"b\" a\\\nb",
    "eval 'echo $((1+1))'; command echo x; env A=5 sh -c 'echo $A'",
    "seq 3 | sort -r | head -n 2; seq 5 | tail -n 1; echo b a | grep -c a",
    "unset HOME; echo ${HOME:-gone}; export B=2; sh -c 'echo $B'",
    "echo ${#HOME}; x=; echo ${x:-e} ${x-n}",
    "sh -c 'echo $0 $1' zero one; echo $?",
    "echo old > f; echo new $(cat f) > f; cat f; x=$(cat f) > f; echo $x",
    "(echo $((1 + a b)) > g) 2>/dev/null; cat g 2>/dev/null; echo $?",
    "basename /a/b.txt; dirname /a/b.txt",
    "dd if=/dev/zero of=f bs=1K count=3 2>/dev/null; wc -c < f",
    "dd if=/dev/zero of=f count=1; wc -c < f; dd if=/dev/zero of=no/f count=1 || echo no",
    "fallocate -l 2M f; wc -c < f; test -s f && echo full",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_does_what_a_real_shell_does(script: str, tmp_path: Path) -> None:
    assert simulated(script) == real(script, tmp_path)


WORDS = st.sampled_from(
    ["a", "$x", '"$x b"', "'$x'", "${x:-d}", "${y:-d}", "$((x + 1))", "$(echo $x c)", "$?", "\\$x"]
)
SIMPLE = st.one_of(
    st.builds("echo {} {}".format, WORDS, WORDS),
    st.builds("x={}".format, WORDS),
    st.builds("[ {} = a ]".format, st.sampled_from(["a", '"$x"', "b"])),
    st.builds("echo {} > f; cat f".format, WORDS),
    st.sampled_from(["true", "false", "cat f 2>/dev/null", "rm -f f", "test -f f", "x=3"]),
)


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{} && {}".format, inner, inner),
        st.builds("{} || {}".format, inner, inner),
        st.builds("{}; {}".format, inner, inner),
        st.builds("if {}; then {}; else {}; fi".format, inner, inner, inner),
        st.builds("for x in {} b; do {}; done".format, WORDS, inner),
        st.builds("( {} )".format, inner),
        st.builds("{{ {}; }} | cat".format, inner),
        st.builds("! {{ {}; }}".format, inner),
    )


EXAMPLES = (
    400 if settings.default.derandomize else 3000
)  # `make test` draws the same ones every time


@settings(max_examples=EXAMPLES, deadline=None)
@given(script=st.recursive(SIMPLE, compound, max_leaves=8))
def test_any_script_does_what_a_real_shell_does(script: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert simulated(f"x=1; {script}") == real(f"x=1; {script}", Path(folder))


@settings(max_examples=300, deadline=None)
@given(text=st.text("ab$(){}[]<>|&;'\"`\\ \n=*?~#!0", max_size=30))
def test_no_text_breaks_the_shell(text: str) -> None:
    """It answers something and ends: an exception would end the kubelet's request."""
    _, code = simulated(text)
    assert 0 <= code < 256


def test_a_main_process_prints_the_same_whenever_it_is_asked() -> None:
    found = main("i=0; while true; do i=$((i+1)); echo $i; sleep 1; done")
    at = [BEGAN + dt.timedelta(seconds=n) for n in (0, 2, 5)]
    texts = ["".join(x.text for x in output(found.script, BEGAN, t, Facts())) for t in at]
    assert texts == ["1\n", "1\n2\n3\n", "1\n2\n3\n4\n5\n6\n"]


def test_a_replay_that_goes_on_sees_what_one_from_the_start_sees() -> None:
    found = main("while true; do date >> /tmp/log; sleep 1; done")
    replay = Replay(found.script, BEGAN, Facts())
    steps = [list(replay.until(BEGAN + dt.timedelta(seconds=n))) for n in (0, 1, 1, 4)]
    whole = list(Replay(found.script, BEGAN, Facts()).until(BEGAN + dt.timedelta(seconds=4)))
    assert [event for part in steps for event in part] == whole
    assert steps[2] == []


def test_a_loop_without_a_pause_takes_time() -> None:
    """Or the simulator would hang when someone asks for its log."""
    found = main("while true; do echo x; done")
    lines = list(output(found.script, BEGAN, BEGAN + dt.timedelta(seconds=10), Facts()))
    assert 100 < len(lines) < 5000


def test_what_a_main_process_writes_are_steps() -> None:
    found = main("sleep 4; echo yes > /tmp/started; sleep 600")
    replay = Replay(found.script, BEGAN, Facts())
    assert not any(isinstance(e, Write) for e in replay.until(BEGAN + dt.timedelta(seconds=3)))
    later = list(replay.until(BEGAN + dt.timedelta(seconds=5)))
    assert Write("/tmp/started", b"yes\n", append=True) in later


@pytest.mark.parametrize(
    ("script", "ignores", "code"),
    [
        ("sleep 600", True, 0),
        ("trap 'exit 7' TERM; while true; do sleep 1; done", False, 7),
        ("trap 'echo bye; exit 0' TERM INT; sleep 600", False, 0),
        ("trap 'echo bye' TERM; sleep 600", True, 0),
    ],
)
def test_a_shell_heeds_a_term_that_it_traps(script: str, ignores: bool, code: int) -> None:
    found = main(script)
    assert (found.ignores_term, found.term_code) == (ignores, code)


@pytest.mark.parametrize(
    "script",
    [
        "make all",
        "sleep 1 &",
        "case a in a) echo a;; esac",
        "f() { echo a; }",
        "$RUN",
        "a | nc b 1",
    ],
)
def test_what_is_not_modelled_makes_the_main_process_unmodelled(script: str) -> None:
    assert not main(script).modelled


def test_beside_the_main_process_an_unknown_command_is_127() -> None:
    assert simulated("make all; echo $?") == ("127\n", 0)


def test_standard_input_is_read_to_its_end() -> None:
    assert simulated("cat; echo end", b"a\nb") == ("a\nbend\n", 0)
    assert simulated("read x; echo $x; cat", b"a\nb\n") == ("a\nb\n", 0)


def test_a_shell_of_a_debian_image_is_missing_in_busybox() -> None:
    place = here()
    place = replace(place, container=place.container | {"image": "busybox:1.37"})
    assert WORKLOADS.find(["bash"], place) == CannotStart("bash")
    assert isinstance(WORKLOADS.find(["sh", "-c", "true"], place), Program)


def test_an_init_container_leaves_files_for_the_main_one() -> None:
    place = here()
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/srv"}]}
    init = {"name": "prepare", "image": "busybox", "command": ["sh", "-c", "echo m > /srv/x"]}
    spec = {**place.pod["spec"], "volumes": [{"name": "work", "emptyDir": {}}]}
    spec["initContainers"] = [init | mount]
    place = replace(
        place, pod=place.pod | {"spec": spec}, container=place.container | mount | {"name": "main"}
    )
    found = WORKLOADS.find(["cat", "/srv/x"], place)
    assert isinstance(found, Program)
    assert [x.text for x in output(found.script, BEGAN, BEGAN + FOREVER, Facts())] == ["m\n"]


def test_variables_in_a_manifests_command_are_put_in() -> None:
    place = here()
    place = replace(place, container=place.container | {"env": [{"name": "A", "value": "b c"}]})
    found = WORKLOADS.find(["echo", "$(A)", "$(NO)", "$$(A)"], place)
    assert isinstance(found, Program)
    text = [x.text for x in output(found.script, BEGAN, BEGAN, Facts())]
    assert text == ["b c $(NO) $(A)\n"]
