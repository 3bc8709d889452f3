"""What does the report of the question's run look like? Writes `experiments/results/page.png`.

Takes the log of the demo's run from the documentation, makes its page as `curvesense diagnose LOG --html` does, and
photographs it in Chromium. Needs the extra [test] and Chromium; seconds.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from tables import made

from detectors import diagnose, read
from detectors.report.page import page

ROOT = Path(__file__).parents[1]
LOG = ROOT / "detectors" / "docs" / "pictures" / "question.csv"
OUT = ROOT / "experiments" / "results" / "page.png"
SIZE = {"width": 1080, "height": 1000}


def main() -> int:
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if browser is None:
        print("no Chromium on this machine: install the package chromium", file=sys.stderr)
        return 2
    os.chdir(ROOT)  # the page names the log as it was given
    (run,) = read(LOG.relative_to(ROOT))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(page([diagnose(run)]))
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        view = chromium.new_page(viewport=SIZE)  # type: ignore[arg-type]
        view.goto(file.as_uri())
        view.wait_for_timeout(500)
        view.screenshot(path=str(OUT))
        chromium.close()
    made(OUT.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
