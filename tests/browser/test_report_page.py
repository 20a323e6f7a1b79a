"""The page of ``openfm report`` in a real browser: headless Chromium, in light and in dark, wide and narrow.

A probe, which only the tests add to the page, writes what the browser made of it into the document.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from support.jobs import make_job, run_job

CHROMIUM = shutil.which("chromium")
if CHROMIUM and subprocess.run([CHROMIUM, "--version"], capture_output=True).returncode:
    CHROMIUM = None  # what installs it, not itself
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, as .ci/run installs it")

PROBE = """
<script>
addEventListener("load", () => {
  const box = (each) => { const b = each.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; };
  const overlap = (a, b) => a[0] < b[2] - 1 && b[0] < a[2] - 1 && a[1] < b[3] - 2 && b[1] < a[3] - 2;
  const numbers = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const rgb = (color) => numbers(color).slice(0, 3).map((n) => color.startsWith("color(") ? n : n / 255);
  const luminance = (color) => rgb(color).map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
    .reduce((sum, n, i) => sum + n * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
  };
  const contrast = (each) => {
    const style = getComputedStyle(each);
    const [a, b] = [luminance(each.namespaceURI.endsWith("svg") ? style.fill : style.color), luminance(behind(each))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const texts = [...document.body.querySelectorAll("*")].filter(
    (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
      && !each.closest(".hidden, .skip, script, title"));
  const charts = [...document.querySelectorAll("svg.chart")];
  const found = {
    requests: performance.getEntriesByType("resource").map((each) => each.name),
    wider: document.documentElement.scrollWidth - innerWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    charts: charts.map((chart) => ({ name: chart.getAttribute("aria-label"), box: box(chart) })),
    colliding: charts.flatMap((chart) => {
      const labels = [...chart.querySelectorAll("text")].map((each) => [each.textContent, box(each)]);
      return labels.flatMap(([a, x], i) => labels.slice(i + 1).filter(([, y]) => overlap(x, y)).map(([b]) => [a, b]));
    }),
    outside: charts.flatMap((chart) => {
      const frame = box(chart);
      return [...chart.querySelectorAll("*:not(title)")].map(box).filter(
        (b) => b[0] < frame[0] - 2 || b[1] < frame[1] - 2 || b[2] > frame[2] + 2 || b[3] > frame[3] + 2);
    }),
    faint: texts.map((each) => [each.textContent.trim().slice(0, 40), contrast(each)])
      .filter(([, ratio]) => ratio < 4.5),
    sections: [...document.querySelectorAll("h2")].map((each) => each.textContent),
    confusion: [...document.querySelectorAll(".confusion strong")]
      .map((each) => Number(each.textContent.replace(",", ""))),
    tall: document.documentElement.scrollHeight,
  };
  const place = document.createElement("script");
  place.type = "application/json";
  place.id = "probe";
  place.textContent = JSON.stringify(found);
  document.body.append(place);
});
</script>
"""


@dataclass(frozen=True)
class Browser:
    """A browser with nothing in it yet, for each page anew."""

    folder: Path

    def look(self, page: Path, *, width: int = 1280, dark: bool = False) -> dict[str, Any]:
        """What the probe finds."""
        probed = self.folder / "probed.html"
        probed.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
        dom = self._run(probed, "--dump-dom", width=width, dark=dark)
        match = re.search(r'<script type="application/json" id="probe">(.*?)</script>', dom, re.DOTALL)
        assert match is not None, dom[-2000:]
        found: dict[str, Any] = json.loads(match[1])
        return found

    def picture(self, page: Path, *, height: int = 2000, dark: bool = False) -> Any:
        """A screenshot: shape (height, width, channels), from 0 to 1."""
        target = self.folder / "page.png"
        self._run(page, f"--screenshot={target}", width=1280, height=height, dark=dark)
        return matplotlib.image.imread(target)[..., :3]

    def _run(self, page: Path, *options: str, width: int, dark: bool, height: int = 2000) -> str:
        profile = self.folder / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        command = [
            CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", f"--user-data-dir={profile}", f"--window-size={width},{height}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            *options, page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


@pytest.fixture(scope="module", params=["binary_classifier", "regressor"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a job, whose training stopped early."""
    base = tmp_path_factory.mktemp(request.param)
    rng = np.random.default_rng(1)
    X = (rng.random((4000, 40)) < 0.2).astype(np.float32)
    truth = X @ rng.normal(0, 1, 40) + 0.8 * X[:, 0] * X[:, 1] + rng.normal(0, 0.7, 4000)
    y = truth > 0.5 if request.param == "binary_classifier" else np.clip(np.round(truth + 3), 1, 5)
    hyperparameters = {
        "feature_dim": 40, "num_factors": 4, "predictor_type": request.param, "mini_batch_size": 100, "epochs": 30,
        "factors_lr": 0.01, "linear_lr": 0.02, "early_stopping_patience": 2,
    }  # fmt: skip
    make_job(base, hyperparameters, (X[:3000], y[:3000]), (X[3000:], y[3000:]))
    (base / "input" / "data" / "validation").symlink_to(base / "input" / "data" / "test")
    assert run_job(base).returncode == 0
    command = [sys.executable, "-m", "openfm", "report", "model", "input/data/test/part-0.pbr"]
    done = subprocess.run(
        [*command, "--metrics", "output/data/metrics.jsonl"], cwd=base, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return base / "report.html"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (500, True)], ids=["wide-light", "narrow-dark"])
def test_it_is_whole_and_readable(page: Path, browser: Browser, width: int, dark: bool) -> None:
    found = browser.look(page, width=width, dark=dark)
    assert found["dark"] is dark
    assert found["requests"] == []
    assert found["wider"] <= 0
    assert len(found["charts"]) >= 5
    assert all(right - left > 250 and bottom - top > 150 for left, top, right, bottom in boxes(found))
    assert found["colliding"] == []
    assert found["outside"] == []
    assert found["faint"] == []


def boxes(found: dict[str, Any]) -> list[list[float]]:
    return [chart["box"] for chart in found["charts"]]


def test_it_shows_what_there_is_to_see(page: Path, browser: Browser) -> None:
    found = browser.look(page)
    names = [chart["name"].partition(".")[0] for chart in found["charts"]]
    if "binary_classifier" in page.parent.name:
        assert found["sections"] == [
            "Quality", "Confusion", "Curves", "Thresholds", "Training", "Model", "Data", "Hyperparameters",
        ]  # fmt: skip
        assert names == [
            "ROC curve", "Precision and recall", "Calibration", "Scores of each label", "What each threshold does",
            "Accuracy", "Cross entropy", "F1", "Labels",
        ]  # fmt: skip
        assert sum(found["confusion"][:4]) == 1000
    else:
        assert found["sections"] == ["Quality", "Errors", "Training", "Model", "Data", "Hyperparameters"]
        assert names == [
            "Predicted and true", "Residuals", "Residuals by prediction", "Root mean squared error",
            "Mean absolute error", "Labels",
        ]  # fmt: skip


def test_a_picture_of_it_is_not_blank(page: Path, browser: Browser) -> None:
    light, dark = browser.picture(page), browser.picture(page, dark=True)
    assert light.mean() > 0.8
    assert dark.mean() < 0.3
    for picture in (light, dark):
        colours = np.unique((picture * 15).round().astype(int) @ [256, 16, 1])
        assert len(colours) > 30
        rows_with_content = (picture.std(axis=(1, 2)) > 0.01).mean()
        assert rows_with_content > 0.6
