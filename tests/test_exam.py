"""The exam's machinery: exact designs, guarded calls, searches that shrink, reports, the ways to run it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from detectors.catalogue import CATALOGUE
from detectors.claims import STANDARD, FalseAlarms, Online, Recovers, claim_of, claims_of, standard
from detectors.overfitting import Overfitting
from detectors.vocabulary import Event, Finding, Run, Verdict, absent, found, undetermined
from sim import exam
from sim.composed import Composed, observe
from sim.composed.noise import program
from sim.exam import CHECKS, LEVELS, CheckFailed, check_detector, document, examine, parametrize_with_checks, render
from sim.exam import replay as ask_again
from sim.exam.candidate import Candidate, Misbehaved
from sim.exam.check import Sight
from sim.exam.figure import figure
from sim.exam.rate import Rate
from sim.exam.rates import count, design
from sim.exam.reproduce import Target, source
from sim.exam.sabotage import SABOTAGES, Honest, Mute, Talks, Tosses, Triple
from sim.exam.subject import subject_of
from sim.strategies import null_families

RUN = observe(Composed(), [0])[0]


@dataclass(frozen=True)
class Does:
    """A detector that does what a test wants it to."""

    act: Callable[[Run], Any]
    alpha: float = 0.05
    phenomenon: str = "overfitting"

    def detect(self, run: Run) -> Verdict:
        verdict: Verdict = self.act(run)
        return verdict


def silent(run: Run) -> Verdict:
    return absent("overfitting") if "val_loss" in run else undetermined("overfitting", "val_loss not logged")


def finding(onset: float, **changes: Any) -> Finding:
    claim = Finding(phenomenon="overfitting", onset=onset, onset_interval=(onset, onset), level=0.9, known_at=onset)
    return replace(claim, **changes)


# exact tests of rates

shares = st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.25])


@given(shares, st.sampled_from([2.0, 3.0, 6.0]))
def test_a_design_keeps_both_of_its_stated_errors(allowed, multiple):
    plan = design(allowed, min(max(allowed, 0.01) * multiple, 0.9), 1e-6, 0.01)

    assert binom.sf(plan.most, plan.trials, plan.allowed) <= 1e-6
    assert binom.cdf(plan.most, plan.trials, plan.caught) <= 0.01


def test_a_design_is_no_larger_than_it_has_to_be():
    plan = design(0.05, 0.15, 1e-6, 0.01)
    smaller = int(binom.isf(1e-6, plan.trials - 2, 0.05))

    assert binom.cdf(smaller, plan.trials - 2, 0.15) > 0.01


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.08, 0.2]))
def test_stopping_early_never_changes_the_decision(seed, p):
    plan = design(0.05, 0.15, 1e-3, 0.05)
    fails = (np.random.default_rng(seed).random(plan.trials) < p).tolist()
    tally = count(enumerate(fails), plan)

    assert tally.passed == (sum(fails) <= plan.most)
    assert tally.trials <= plan.trials
    if tally.failures:
        assert tally.first == fails.index(True)


def test_a_count_without_enough_trials_decides_nothing():
    assert count([(0, False)] * 3, design(0.05, 0.15, 1e-3, 0.05)).passed is None


@pytest.mark.parametrize(("allowed", "caught"), [(0.1, 0.1), (0.2, 0.1), (-0.1, 0.1), (0.5, 1.5)])
def test_a_design_that_cannot_be_is_refused(allowed, caught):
    with pytest.raises(ValueError, match="needed is 0 <= allowed < caught <= 1"):
        design(allowed, caught, 1e-3, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["default", "thorough"])
def test_a_good_detector_fails_an_exam_less_than_once_in_ten_thousand(level):
    most = max(len(null_families(phenomenon)) for phenomenon in CATALOGUE)
    rates = [check.question for check in CHECKS.values() if isinstance(check.question, Rate)]
    tests = sum(most if question.over == "families" else 1 for question in rates)

    assert tests * LEVELS[level].false_fail <= 1e-4


# guarded calls


def raises(run: Run) -> Verdict:
    raise IndexError("no such\n row")


def leaves(run: Run) -> Verdict:
    sys.exit(3)


def hangs(run: Run) -> Verdict:
    while True:
        pass


def swallows(run: Run) -> Verdict:
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.01)


def interrupts(run: Run) -> Verdict:
    raise KeyboardInterrupt


def sleeps_soundly(run: Run) -> Verdict:
    while True:
        try:
            time.sleep(10)
        except Exception:
            continue


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (raises, "raised IndexError: no such row"),
        (leaves, "raised SystemExit: 3"),
        (lambda run: None, "detect must return a Verdict, not None"),
        (lambda run: "found", "detect must return a Verdict, not 'found'"),
        (interrupts, "raised KeyboardInterrupt"),
        (hangs, r"no answer within 0.2 s"),
        (swallows, r"no answer within 0.2 s"),
        (sleeps_soundly, r"no answer within 0.2 s"),
    ],
)
def test_whatever_a_detector_does_instead_of_answering_is_said_in_one_line(act, what):
    with pytest.raises(Misbehaved, match=f"^{what}$"):
        Candidate(Does(act), time_limit=0.2).detect(RUN)


def answers_late(run: Run) -> Verdict:
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        try:
            time.sleep(0.05)
        except BaseException:
            continue
    return absent("overfitting")


class Mumbles(Exception):
    def __str__(self) -> str:
        raise ValueError


def mumbles(run: Run) -> Verdict:
    raise Mumbles


def test_a_detector_that_swallows_the_alarm_is_late_all_the_same():
    with pytest.raises(Misbehaved, match=r"no answer within 0.1 s"):
        Candidate(Does(answers_late), time_limit=0.1).detect(RUN)


def test_an_exception_that_cannot_say_itself_is_said_all_the_same():
    with pytest.raises(Misbehaved, match=r"raised Mumbles: \(a message that raises\)"):
        Candidate(Does(mumbles)).detect(RUN)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"known_at": float("nan")}, "known_at of a finding is nan"),
        ({"known_at": "late"}, "known_at of a finding is 'late'"),
        ({"p_value": float("nan")}, "raised BadRun"),
        ({"kind": None}, "kind of a finding is None"),
    ],
)
def test_a_finding_of_strange_values_is_no_answer(changes, what):
    with pytest.raises(Misbehaved, match=what):
        Candidate(Does(lambda run: found("overfitting", [finding(5.0, **changes)]))).detect(RUN)


def test_a_verdict_of_things_that_are_no_findings_is_no_answer():
    with pytest.raises(Misbehaved, match="a finding is 1, no Finding"):
        Candidate(Does(lambda run: Verdict(phenomenon="overfitting", status="found", findings=(1,)))).detect(RUN)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [("alpha", 5), ("alpha", float("nan")), ("alpha", "high"), ("level", 90), ("level", None), ("needs", "val_loss")],
)
def test_an_attribute_that_cannot_be_is_refused_by_name_and_value(name, value):
    detector = type("D", (), {"phenomenon": "overfitting", "detect": silent, name: value})()

    with pytest.raises((TypeError, ValueError), match=f"{name}={value!r} of D"):
        examine(detector)


def test_a_detector_that_raises_now_and_then_fails_and_the_exam_goes_on():
    calls = iter(range(10**6))

    def moody(run: Run) -> Verdict:
        if next(calls) == 7:
            raise RuntimeError("now and then")
        return silent(run)

    (result,) = examine(Does(moody), level="quick", only=["stays_silent_on_the_worst_null"]).results

    assert result.status == "failed"
    assert "now and then" in result.outcome.detail


@pytest.mark.slow
def test_draws_do_not_depend_on_what_else_is_imported(tmp_path):
    (tmp_path / "constants.py").write_text("NUMBERS = [123, 137, 171, 188, 201, 222, 243]\n")
    code = """
import sys
sys.path[:0] = [{root!r}, {folder!r}]
{imports}
from sim.exam.search import sample
from sim.strategies import with_event
print(hash(tuple(map(repr, sample(with_event("overfitting"), examples=60, number=1)))))
"""

    def drawn(imports: str) -> str:
        text = code.format(root=str(Path(__file__).parents[1]), folder=str(tmp_path), imports=imports)
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert drawn("") == drawn("import constants")


def test_state_from_before_the_first_call_is_what_a_fresh_detector_has():
    seen: list[Run] = []

    class Calibrates:
        phenomenon = "overfitting"

        def __init__(self) -> None:
            self.first: float | None = None

        def detect(self, run: Run) -> Verdict:
            seen.append(run)
            if "val_loss" not in run:
                return undetermined(self.phenomenon, "val_loss not logged")
            last = float(run.observed("val_loss")[1][-1])
            self.first = last if self.first is None else self.first
            return absent(self.phenomenon) if last <= self.first else found(self.phenomenon, [finding(50.0)])

    assert examine(Calibrates(), only=["remembers_no_other_run"]).results[0].status == "failed"


def test_a_call_in_another_thread_has_a_time_limit_too():
    errors: list[str] = []

    def ask() -> None:
        try:
            Candidate(Does(lambda run: time.sleep(1) or absent("overfitting")), time_limit=0.1).detect(RUN)
        except Misbehaved as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()

    assert errors == ["no answer within 0.1 s"]


def test_a_detector_that_keeps_hanging_is_not_asked_for_ever():
    candidate = Candidate(Does(hangs), time_limit=0.05)
    answers = []
    for _ in range(5):
        with pytest.raises(Misbehaved) as error:
            candidate.detect(RUN)
        answers.append(str(error.value))

    assert answers[2:] == ["no answer within 0.05 s"] + ["not asked any more: 3 calls took over 0.05 s"] * 2


def test_what_a_detector_prints_is_kept_from_the_terminal(capsys):
    candidate = Candidate(Talks())
    candidate.detect(RUN)

    assert "looking at" in candidate.tally.printed
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("detector", "what"),
    [
        (object(), "its attribute `phenomenon` is None"),
        (Overfitting, "is a class; the exam takes an instance"),
        (type("D", (), {"phenomenon": "overfitting"})(), "it has no method `detect"),
        (replace(Does(silent), phenomenon=""), "its attribute `phenomenon` is ''"),
    ],
)
def test_what_is_no_detector_is_refused_before_the_exam(detector, what):
    with pytest.raises(TypeError, match=what):
        examine(detector)


# claims


def test_a_detector_without_claims_promises_the_standard_ones():
    assert claims_of(Does(silent)) == STANDARD


def test_claims_can_be_exchanged_and_left_out():
    mine = standard(FalseAlarms(autocorrelation=0.2), Online(), without=(Recovers,))

    assert FalseAlarms(autocorrelation=0.2) in mine
    assert not any(isinstance(claim, Recovers) for claim in mine)
    assert len(mine) == len(STANDARD)  # one more, one less


def test_two_claims_of_one_kind_are_refused():
    with pytest.raises(TypeError, match="two of kind FalseAlarms"):
        claims_of(type("D", (), {"claims": (FalseAlarms(autocorrelation=0.0), *STANDARD)})())


@pytest.mark.parametrize("claims", [7, ("no claim",)])
def test_claims_that_are_none_are_refused(claims):
    with pytest.raises(TypeError, match=r"no (claim|sequence of claims)"):
        claims_of(type("D", (), {"claims": claims})())


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: FalseAlarms(autocorrelation=1.0), "autocorrelation=1.0"),
        (lambda: FalseAlarms(shortest=50, longest=40), "shortest=50, longest=40"),
        (lambda: Recovers(share=-0.1), "share=-0.1"),
        (lambda: Recovers(strength=0), "strength=0"),
    ],
)
def test_a_claim_that_cannot_be_is_refused_by_its_value(make, what):
    with pytest.raises(ValueError, match=what):
        make()


def test_a_claim_says_itself_in_words():
    assert str(claim_of(Overfitting(), FalseAlarms)) == (
        "At most alpha of null runs alarm, for AR(1) noise up to 0.8 and 60 to 1000 epochs."
    )


# failures and their examples


def test_a_failure_is_shrunk_to_the_simplest_curve_that_a_person_can_read():
    (result,) = examine(Mute(), only=["finds_what_was_injected"]).results
    case = result.outcome.case

    assert result.status == "failed"
    assert case is not None
    assert (case.spec.noise, case.spec.epochs) == (0.0, 100)  # no noise, as short as was promised
    assert case.spec.overfit == 0.1
    assert case.spec.overfit_at == 50


def test_an_exact_failure_is_shown_on_the_simplest_example():
    (result,) = examine(Does(raises), only=["answers_about_short_runs"]).results
    case = result.outcome.case

    assert result.outcome.detail == "raised IndexError: no such row"
    assert case is not None
    assert (case.seed, dict(case.params)) == (0, {"rows": 1})


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report_and_another_one_other_runs():
    def reports(seed: int) -> str:
        report = examine(Triple(), level="quick", seed=seed, only=["stays_silent_on_null_families", "repeats_itself"])
        return json.dumps([{**c, "seconds": 0} for c in document(report)["checks"]])

    assert reports(0) == reports(0) != reports(1)


@pytest.mark.slow
def test_nothing_is_compiled_while_hypothesis_runs():
    examine(Mute(), level="quick", only=["finds_what_was_injected", "ignores_names"])

    def compiled() -> list[int]:
        return [program(256)._cache_size(), program.cache_info().currsize]

    before = compiled()
    examine(Mute(), only=["finds_what_was_injected", "ignores_names", "finds_it_after_a_drop"])

    assert compiled() == before


def test_what_is_not_promised_is_shown_and_not_held_against_a_detector():
    report = examine(Unambitious(), level="quick", only=["finds_what_was_injected", "repeats_itself"])

    assert [r.status for r in report.results] == ["not promised", "passed"]
    assert report.passed
    assert "failed but not promised" in render(report)


class Unambitious(Mute):
    claims = ()


@pytest.mark.release
def test_a_family_beyond_the_promise_is_measured_and_not_judged():
    class Modest(Triple):
        claims = standard(FalseAlarms(autocorrelation=0.0, longest=250))

    (result,) = examine(Modest(), only=["stays_silent_on_null_families"]).results

    assert result.status == "passed"
    assert "beyond the promise (autocorrelation 0.8)" in result.outcome.detail


@pytest.mark.release
def test_a_promise_is_held_at_its_own_ends():
    class Short(Honest):
        claims = standard(FalseAlarms(autocorrelation=0.3, shortest=20))

        def detect(self, run: Run) -> Verdict:
            return found("overfitting", [finding(float(run.epochs[0]))]) if len(run) == 20 else self.honest(run)

    (result,) = examine(Short(), only=["stays_silent_on_null_families"]).results

    assert result.status == "failed"
    assert "'flat, 20 epochs, autocorrelation 0.3'" in result.outcome.detail


def test_the_usual_promise_ends_at_families_that_have_names():
    assert subject_of("overfitting").families.keys() == null_families("overfitting").keys()


def test_an_expected_failure_is_none_and_an_unexpected_pass_is_one():
    why = {"finds_what_was_injected": "mute on purpose", "repeats_itself": "was random once"}
    report = examine(Mute(), level="quick", only=list(why), expected_failures=why)

    assert {r.check.name: r.status for r in report.results} == {
        "finds_what_was_injected": "expected",
        "repeats_itself": "unexpected",
    }
    assert not report.passed


def test_a_check_that_does_not_exist_is_refused_by_name():
    for settings in ({"only": ["nope"]}, {"expected_failures": {"nope": "never"}}):
        with pytest.raises(ValueError, match="no check 'nope'; there are answers_on"):
            examine(Mute(), **settings)


@pytest.mark.parametrize(
    ("settings", "what"), [({"level": "hard"}, "level='hard'"), ({"time_limit": 0}, "time_limit=0")]
)
def test_a_setting_that_cannot_be_is_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        examine(Mute(), **settings)


def test_a_phenomenon_that_nobody_knows_needs_a_subject():
    with pytest.raises(ValueError, match=r"no composed run has 'grokking'.*pass a `sim.exam.Subject`"):
        examine(replace(Does(silent), phenomenon="grokking"))


BAD: dict[str, Callable[[Run], Any]] = {
    "raises": raises,
    "returns None": lambda run: None,
    "out of range": lambda run: found("overfitting", [finding(1e6)]),
    "another phenomenon": lambda run: absent("plateau"),
    "not a number": lambda run: found("overfitting", [finding(float(run.epochs[0]), effect={"rise": np.inf})]),
}


@pytest.mark.slow
@pytest.mark.parametrize("act", BAD.values(), ids=BAD)
def test_whatever_a_detector_does_the_rest_of_the_exam_still_runs(act):
    report = examine(Does(act), level="quick")

    assert [r.check.name for r in report.results] == list(CHECKS)
    assert report["answers_on_the_axis_of_the_run"].status == "failed"
    json.dumps(document(report), allow_nan=False)


@pytest.mark.slow
def test_a_detector_that_hangs_fails_and_the_exam_ends():
    started = time.monotonic()
    report = examine(Does(hangs), level="quick", time_limit=0.1)

    assert not report.passed
    assert time.monotonic() - started < 60  # of three calls at a tenth of a second, and of the rendering between them


# reports and replays


def test_a_failed_exam_says_in_one_message_what_failed_and_where():
    with pytest.raises(CheckFailed, match=r"(?s)Mute fails 1 of 2 checks.*went wrong.*Composed\(.*seed \d+") as error:
        check_detector(Mute(), only=["finds_what_was_injected", "repeats_itself"])

    assert error.value.report["repeats_itself"].status == "passed"


def test_a_failure_can_be_asked_again_and_passes_once_it_is_mended():
    for check in ("answers_on_the_axis_of_the_run", "finds_what_was_injected"):
        (result,) = examine(Does(lambda run: absent("plateau")), only=[check], level="quick").results
        case = result.outcome.case
        assert case is not None
        with pytest.raises(CheckFailed, match=check):
            ask_again(check, Does(lambda run: absent("plateau")), case.spec, seed=case.seed, **case.params)
        ask_again(check, Overfitting(), case.spec, seed=case.seed, **case.params)


@pytest.mark.parametrize(
    ("events", "truth"),
    [(None, "truth: not given"), ((), "truth: nothing"), ((Event(phenomenon="overfitting", onset=80.0),), "truth")],
)
def test_a_picture_does_not_say_that_there_is_nothing_where_the_truth_is_not_given(events, truth):
    picture = figure([Sight(title="a run", run=RUN, verdict=absent("overfitting"), events=events)])

    assert [t.get_text() for t in picture.axes[1].get_yticklabels()] == ["claim: absent", truth]


def test_a_check_that_cannot_be_asked_again_is_a_skip():
    with pytest.raises(pytest.skip.Exception, match="finds_no_more_with_a_smaller_alpha could not be asked: it has no"):
        ask_again("finds_no_more_with_a_smaller_alpha", WithoutAlpha(), Composed())


class WithoutAlpha:
    phenomenon = "overfitting"

    def detect(self, run: Run) -> Verdict:
        return silent(run)


def test_a_replay_keeps_the_level_and_the_time_limit():
    report = examine(Mute(), level="quick", only=["finds_what_was_injected"], time_limit=2.0)

    text = source(report.results[0], report, Target(module="sim.exam.sabotage", name="Mute", called=True))

    assert "level='quick', time_limit=2.0)" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(c, marks=pytest.mark.release) if c == "stays_silent_at_every_look" else c for c in CHECKS],
)  # looks at every epoch of many runs, minutes of it
def test_the_replay_of_every_check_is_python_that_names_its_arguments(name, tmp_path):
    target = Target(module="sim.exam.sabotage", name=SABOTAGES[name]().__class__.__name__, called=True)
    report = examine(SABOTAGES[name](), level="quick", only=[name])
    (result,) = report.results
    if result.outcome.case is None or result.status != "failed":
        pytest.skip("not caught at the quick level")
    text = source(replace(result, outcome=replace(result.outcome, detail='it said "x"')), report, target)
    names: dict[str, Any] = {}
    exec(text.replace("replay(", "given(").replace("import replay", "import replay as given"), names)

    with pytest.raises(CheckFailed):
        names[f"test_{name}"]()


def test_the_document_states_the_errors_of_each_test():
    (check,) = document(examine(Mute(), only=["finds_what_was_injected"]))["checks"]

    assert check["test"]["false_fail"] == 1e-6
    assert check["test"]["false_pass"] == 0.01
    assert check["example"]["spec"].startswith("Composed(")
    assert eval(check["example"]["spec"], {"Composed": Composed}).epochs == 100


def test_a_detector_that_does_not_repeat_itself_is_a_failure_and_no_flaky_exam():
    assert examine(Tosses(), only=["repeats_itself"]).results[0].status == "failed"


# in pytest

adopted = parametrize_with_checks(
    [Overfitting()], level="quick", only=["repeats_itself", "answers_many_as_one_by_one", "prints_nothing"]
)


@adopted
def test_a_suite_of_somebody_else_adopts_the_checks(detector, check):
    check(detector)


def test_the_checks_are_named_after_detector_and_check():
    ids = [p.id for p in adopted.args[1]]

    assert ids[0] == "Overfitting-repeats_itself"


def test_a_class_or_a_single_detector_is_refused():
    for wrong in (Overfitting, Overfitting()):
        with pytest.raises(TypeError, match="takes a list of detectors"):
            parametrize_with_checks(wrong)  # type: ignore[arg-type]


def test_an_expected_failure_is_an_xfail_and_a_real_one_fails():
    expected = {"finds_what_was_injected": "mute on purpose"}
    mark = parametrize_with_checks(
        [Mute()], level="quick", only=["finds_what_was_injected"], expected_failures=expected
    )
    (param,) = mark.args[1]
    detector, check = param.values
    with pytest.raises(pytest.xfail.Exception, match="mute on purpose"):
        check(detector)
    (param,) = parametrize_with_checks([Mute()], level="quick", only=["finds_what_was_injected"]).args[1]
    with pytest.raises(CheckFailed):
        param.values[1](param.values[0])


def test_every_check_says_why_it_matters_and_after_whom():
    for check in CHECKS.values():
        assert len(check.rationale) > 60
        assert check.source


def test_the_checks_of_a_file_are_all_in_the_catalogue():
    folder = Path(exam.__file__).parent
    named = sum(
        text.count("\n@exact(") + text.count("\n@rate(")
        for text in (path.read_text() for path in folder.glob("*.py") if path.name not in ("exact.py", "rate.py"))
    )

    assert named == len(CHECKS)
