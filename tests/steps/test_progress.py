"""Progress: time left from work, jobs inside jobs, bars on terminals and lines elsewhere."""

from __future__ import annotations

import io
import sys
from typing import NamedTuple

import pytest

from energyknn import progress
from energyknn.progress import Job, format_seconds, put_before, track_on_stderr


class Step(NamedTuple):
    """A step that takes seconds, and says how much work it is."""

    seconds: float
    work: float = 1.0
    kind: str = ""
    name: str = ""


class MadeClock:
    """A clock that goes on when it is told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return MadeClock()


def run_to(clock, job, steps, until):
    """Take steps until so many seconds have passed in all, the last of them in part."""
    left = until
    for step in steps:
        job.begin_step()
        clock.now += min(left, step.seconds)
        if left < step.seconds:
            return
        left -= step.seconds
        job.end_step()


# Steps of one kind whose works are as unlike as their times, and a machine that is slower than the works say.
UNLIKE = [Step(3 * work, work) for work in (1, 1, 2, 8, 3, 1, 30, 2, 12, 40, 6)]
# Two kinds of steps whose works do not compare: a unit of trees takes 0.5 s, and one of maps 20 s.
MIXED = [Step(0.5 * 40, 40, "trees"), Step(20 * 1, 1, "maps"), Step(0.5 * 120, 120, "trees"), Step(20 * 7, 7, "maps")]


@pytest.mark.parametrize("steps", [UNLIKE, MIXED], ids=["unlike works", "two kinds"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_time_left_is_right_within_a_fifth_once_rates_are_known(clock, steps, share):
    whole = sum(step.seconds for step in steps)
    job = Job(steps, "Work", clock=clock)
    run_to(clock, job, steps, share * whole)
    assert job.estimate_left() == pytest.approx((1 - share) * whole, rel=0.2)
    assert job.estimate_done() == pytest.approx(share, abs=0.1)


def test_steps_that_are_hardly_any_work_tell_nothing(clock):
    job = Job([Step(1, 0.01), Step(1, 100.0)], "Work", clock=clock)
    run_to(clock, job, [Step(1)], 1)
    assert job.estimate_left() is None


def test_nothing_is_said_before_anything_is_known(clock):
    job = Job(UNLIKE, "Work", clock=clock)
    assert job.estimate_left() is None
    job.begin_step()
    clock.now += 2
    assert job.estimate_left() is None
    assert job.estimate_done() == 0


def test_a_step_that_is_late_is_expected_to_take_longer_and_longer(clock):
    """The bar said 39 seconds for more than 20 minutes."""
    job = Job(["first", "last"], "Work", clock=clock)
    job.begin_step()
    clock.now += 39
    job.end_step()
    job.begin_step()
    said = []
    for _ in range(20):
        clock.now += 60
        said.append(job.estimate_left())
    assert said == sorted(said)
    assert said[-1] > 1000


def test_a_job_inside_the_first_step_tells_how_long_that_takes(clock):
    outer = Job(["a", "b", "c", "d"], "Models", clock=clock)
    outer.begin_step()
    inner = Job(range(10), "Rounds", parent=outer, clock=clock)
    for _ in range(2):
        inner.begin_step()
        clock.now += 3
        inner.end_step()
    assert inner.estimate_left() == pytest.approx(24)
    assert outer.estimate_left() == pytest.approx(24 + 3 * 30)


def test_a_finished_job_has_nothing_left(clock):
    job = Job([Step(2)] * 3, "Work", clock=clock)
    run_to(clock, job, [Step(2)] * 3, 6)
    assert (job.estimate_left(), job.estimate_done()) == (0, 1)
    assert job.describe() == "Work: 3 of 3; 0:00:06 so far, about 0:00:00 left"


def test_steps_without_work_raise_nothing(clock):
    steps = [Step(1, 0.0), Step(1, 0.0)]
    job = Job(steps, "Work", clock=clock)
    run_to(clock, job, steps, 1.5)
    assert job.estimate_left() is None


def test_elsewhere_than_on_a_terminal_lines_name_the_parts(capsys):
    steps = [Step(0, name="lines"), Step(0, name="trees")]
    for step in track_on_stderr(steps, "Compare models"):
        assert list(track_on_stderr([1, 2, 3], "Fit each fold")) == [1, 2, 3]
        assert step.name
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Compare models: 2 steps"
    assert [line.partition(";")[0] for line in lines[1:]] == [
        "Compare models: 1 of 2, lines",
        "Compare models: 2 of 2, trees",
    ]


def test_a_line_is_written_now_and_then_while_a_step_lasts(monkeypatch):
    """The second wait is told that the job has ended."""
    lines, waits, asked = progress._Lines(after=10.0), iter([False, True]), []
    monkeypatch.setattr(lines._ended, "wait", lambda seconds: asked.append(seconds) or next(waits))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    lines.jobs.append(Job([Step(0, name="trees")], "Compare models"))
    lines._repeat()
    assert sys.stderr.getvalue().startswith("Compare models: 1 of 1, trees; 0:00:00 so far")
    assert asked == [10, 30]


def test_short_jobs_without_names_are_silent_where_that_is_asked_for(capsys):
    assert list(track_on_stderr([1, 2], "Search", after=1e6)) == [1, 2]
    assert capsys.readouterr().err == ""
    list(track_on_stderr([1, 2], "Search"))
    assert capsys.readouterr().err == "Search: 2 steps\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """Return a function that makes stderr a terminal; pytest sets it anew before the test begins."""

    def change():
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")

    return change


def test_on_a_terminal_a_job_inside_another_has_a_bar_below_it(open_terminal):
    open_terminal()
    for _ in track_on_stderr([Step(0, name="lines"), Step(0, name="trees")], "Compare models"):
        for _ in track_on_stderr([1, 2, 3], "Fit each fold"):
            drawn = progress._shown.get()._draw()
    cells = [list(column.cells) for column in drawn.columns]
    assert cells[0] == ["Compare models", "  Fit each fold"]
    assert cells[2] == ["2 of 2 trees", "3 of 3"]
    assert "Compare models" in sys.stderr.getvalue()
    assert progress._shown.get() is None


def test_a_job_that_is_left_early_takes_its_bar_along(open_terminal):
    open_terminal()
    for _ in track_on_stderr([1, 2], "Outer"):
        for _ in track_on_stderr(range(9), "Inner"):
            break
        assert [job.description for job in progress._shown.get().jobs] == ["Outer"]
        assert progress._shown.get().jobs[0].inner is None


def test_an_error_in_a_step_closes_the_display(open_terminal):
    open_terminal()
    with pytest.raises(ZeroDivisionError):
        [1 / number for number in track_on_stderr([1, 0], "Divide")]
    assert progress._shown.get() is None


def test_words_before_a_description_name_the_study():
    seen = []
    track = put_before("Without leaks", lambda steps, description: seen.append(description) or steps)
    assert list(track([1], "Search each fold once")) == [1]
    assert seen == ["Without leaks: search each fold once"]


def test_seconds_are_written_with_hours():
    assert [format_seconds(seconds) for seconds in (0.4, 59.6, 3725)] == ["0:00:00", "0:01:00", "1:02:05"]
