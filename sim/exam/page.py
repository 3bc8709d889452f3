"""The report of an exam as one self-contained HTML file: no network, no script, light and dark."""

from __future__ import annotations

import base64
from html import escape
from itertools import groupby

from sim.exam.compare import said
from sim.exam.figure import svg
from sim.exam.report import Report, Result, Status, arguments
from sim.exam.reproduce import Target, source

__all__ = ["page"]

_MARKS = {
    "passed": ("✓", "passed"),
    "failed": ("✗", "failed"),
    "skipped": ("–", "skipped"),
    "not promised": ("○", "fails, not promised"),
    "expected": ("◐", "fails, as expected"),
    "unexpected": ("✗", "passed, unexpectedly"),
}

_SUMMARY: dict[Status, str] = {
    "expected": "failed as expected",
    "not promised": "failed but not promised",
    "skipped": "skipped",
}

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --soft: #5c5c5c; --line: #dcdcdc; --paper: #ffffff; --card: #f6f6f4;
  --good: #00795a; --bad: #b34700; --mild: #7a5c00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e9e6; --soft: #a9a9a4; --line: #3a3a38; --paper: #161615;
  --card: #201f1e; --good: #35c79a; --bad: #ff9a5c; --mild: #e0bd55; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 62rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; text-transform: capitalize; }
p { margin: .4rem 0; } .soft { color: var(--soft); } .verdict { font-size: 1.15rem; margin: .6rem 0 1rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .mild { color: var(--mild); }
details { border-top: 1px solid var(--line); } details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: .45rem .2rem; display: flex; gap: .6rem; flex-wrap: wrap; align-items: baseline; }
summary:focus-visible { outline: 2px solid var(--good); } summary .mark { width: 1.2rem; font-weight: 700; }
summary .state { margin-left: auto; font-size: .85rem; }
.body { padding: 0 0 1rem 1.8rem; } pre { background: var(--card); padding: .7rem; overflow-x: auto; font-size: .8rem;
  border-radius: 6px; white-space: pre-wrap; } img { background: #fff; max-width: 100%; border-radius: 6px; }
ul { margin: .3rem 0; padding-left: 1.2rem; }
"""


def page(report: Report, target: Target | None = None) -> str:
    """The HTML of `report`; with `target`, each failure comes with the pytest that repeats it."""
    failed = report.of("failed", "unexpected")
    verdict = (
        f'<span class="good">passes: no check failed.</span> {len(report.of("passed"))} of {len(report.results)} passed'
        if report.passed
        else f'<span class="bad">fails {len(failed)} of {len(report.results)} checks.</span>'
        f" {len(report.of('passed'))} passed"
    )
    more = [f"{len(report.of(s))} {_SUMMARY[s]}" for s in _SUMMARY if report.of(s)]
    groups = [
        f"<h2>{escape(group)}</h2>\n" + "\n".join(_check(r, report, target) for r in results)
        for group, results in groupby(report.results, key=lambda r: r.check.group)
    ]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(report.detector)}: exam report</title><style>{_STYLE}</style></head><body>
<h1>{escape(report.detector)}</h1>
<p class="soft">a detector of {escape(report.phenomenon.replace("_", " "))}, examined at level {report.level.name}, seed
{report.seed}: {report.calls} calls in {report.seconds:.0f} s, {1e3 * report.call_seconds / max(report.calls, 1):.2f} ms
each</p>
<p class="verdict">{verdict}{"".join(f", {escape(m)}" for m in more)}.</p>
<details><summary>What it promises</summary><div class="body"><ul>
{"".join(f"<li>{escape(c)}</li>" for c in report.claims) or "<li>nothing</li>"}</ul></div></details>
{"".join(groups)}
</body></html>
"""


def _check(r: Result, report: Report, target: Target | None) -> str:
    mark, text = _MARKS[r.status]
    tone = {"passed": "good", "failed": "bad", "unexpected": "bad", "skipped": "soft"}.get(r.status, "mild")
    shown = " open" if r.status in ("failed", "unexpected") else ""
    return f"""<details{shown}><summary><span class="mark {tone}">{mark}</span><span>{escape(r.check.title)}</span>
<span class="state {tone}">{escape(text)}</span></summary><div class="body">
<p>{escape(r.outcome.detail)}{f" (expected: {escape(r.reason)})" if r.reason else ""}</p>
{_example(r, report, target) if r.outcome.passed is False else ""}
<p class="soft">{escape(r.check.rationale)} <em>After: {escape(r.check.source)}.</em></p></div></details>"""


def _example(r: Result, report: Report, target: Target | None) -> str:
    parts = []
    if r.outcome.sights:
        picture = base64.b64encode(svg(r.outcome.sights).encode()).decode()
        parts.append(f'<img alt="the curve on which it fails" src="data:image/svg+xml;base64,{picture}">')
        parts += [
            f'<p class="soft">{escape(s.title or "the run")}: {escape(said(s.verdict))}</p>'
            for s in r.outcome.sights[-2:]
            if s.verdict is not None
        ]
    case = r.outcome.case
    if case is not None:
        code = (
            f"{case.spec!r}, seed={case.seed}{arguments(case.params)}" if target is None else source(r, report, target)
        )
        parts.append(f"<pre>{escape(code)}</pre>")
    return "\n".join(parts)
