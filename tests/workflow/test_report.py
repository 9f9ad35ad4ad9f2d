"""The report of a small run: what it holds, what it says of a run that is not whole, and how a browser shows it.

Without Chromium the tests in a browser are skipped, loudly; with FORECAST_REQUIRE_BROWSER=1 they fail. Screenshots are
left in FORECAST_SCREENSHOTS, where it is set.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from common.files import read_json, read_parquet, write_json, write_parquet
from report import report
from support.engines import call, copy_project, shell, shrink

QUESTIONS = ("prices", "explorer", "data", "skill", "calibration", "paths", "decision", "outcome", "backtest", "model")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a small run of it, and its report."""
    folder = shrink(copy_project(tmp_path_factory.mktemp("report") / "crypto-forecast", tiny=True))
    call(["snakemake", "-j2"], folder)
    shell(folder, "make report")
    return folder


@pytest.fixture(scope="module")
def html(checkout: Path) -> Path:
    return checkout / "artifacts" / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, Debian's."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("FORECAST_REQUIRE_BROWSER"):
            pytest.fail("no chromium; FORECAST_REQUIRE_BROWSER is set")
        pytest.skip("NOT RUN: no chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser: Browser, html: Path, width: int = 1600, theme: str = "light") -> tuple[Page, list[str]]:
    """The page when its figures are there, and what went wrong: errors, warnings, requests that left the file."""
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if theme == "dark" else "light"
    )
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else wrong.append(request.url),
    )
    page.goto(html.as_uri())
    page.wait_for_selector("html[data-ready=true]")
    return page, wrong


def wait_until(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript; Playwright's own waiting evaluates text, which the page's policy forbids."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {condition}")


def see_all(page: Page) -> None:
    """Scroll through the page, so that every figure is drawn."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
    wait_until(page, "Object.keys(waiting).length === 0")


def test_the_report_answers_every_question_in_one_file(html: Path) -> None:
    text = html.read_text()
    assert html.stat().st_size < 15_000_000
    assert all(f'<section id="{name}"' in text for name in QUESTIONS)
    assert "SIMULATED MARKET" in text and "What is missing here" not in text
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", text.split('id="library"')[0])
    assert text.index('id="prices"') < text.index('id="skill"') < text.index('id="decision"')


def test_the_same_run_gives_the_same_report(
    checkout: Path, html: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(checkout)
    for name in ("one", "two"):
        report(str(tmp_path / name), "artifacts", "data")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_of_half_a_run_it_shows_what_is_there_and_names_the_rest(checkout: Path, tmp_path: Path) -> None:
    shutil.copytree(checkout, tmp_path / "half", symlinks=True)
    artifacts = tmp_path / "half" / "artifacts"
    for name in ("mock_trade.json", "mock_eval.json", "backtest.json", "evaluation.json", "report.html"):
        (artifacts / name).unlink()
    shutil.rmtree(artifacts / "decisions")
    said = shell(tmp_path / "half", "make report")
    text = (artifacts / "report.html").read_text()
    assert "missing: artifacts/mock_trade.json is not there" in said
    assert "What is missing here" in text and "artifacts/evaluation.json is not there" in text
    assert "Not there yet: the decision (mock_trade.json)." in text and 'id="explorer"' in text
    assert not (artifacts / "mock_trade.json").exists()  # it made nothing else


def test_of_a_new_decision_it_shows_no_earlier_one_s_audit(checkout: Path, tmp_path: Path) -> None:
    """As after make decide: the outcome that is there is of before, and its candles overlap those of the decision."""
    data, artifacts = (Path(shutil.copytree(checkout / name, tmp_path / name)) for name in ("data", "artifacts"))
    for path in (data / "candles" / "live").glob("*.parquet"):
        write_parquet(data / "outcome" / path.name, read_parquet(path).iloc[-20:])
    trade = read_json(artifacts / "mock_trade.json")
    write_json(artifacts / "mock_trade.json", {**trade, "seal": "0" * 64})
    report(str(tmp_path / "report.html"), str(artifacts), str(data))
    made = (tmp_path / "report.html").read_text()
    assert "mock_eval.json is the audit of an earlier decision: make audit renews it" in made
    assert "Not there yet: the decision&#39;s audit" in made
    assert "What would be decided at other commissions" not in made


def test_before_a_run_it_is_one_line(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "fresh").mkdir()
    shutil.copy(checkout / "Makefile", tmp_path / "fresh")
    done = call(["make", "report"], tmp_path / "fresh", check=False)
    assert done.returncode and "there is no run to continue with" in done.stderr


def test_snakemake_s_own_report_holds_it(checkout: Path) -> None:
    shell(checkout, "snakemake --report artifacts/workflow.zip report")
    assert (checkout / "artifacts" / "workflow.zip").stat().st_size > 1_000_000


def test_every_figure_loads_without_an_error_or_a_request(browser: Browser, html: Path) -> None:
    page, wrong = opened(browser, html)
    see_all(page)
    assert page.locator(".chart .main-svg").count() >= 2 * page.locator(".chart").count() > 12
    assert page.evaluate("[...document.images].every((one) => one.complete && one.naturalWidth > 100)")
    assert page.evaluate("[...document.images].every((one) => one.alt.length > 10)")
    assert page.evaluate("[...document.querySelectorAll('.chart')].every((one) => one.ariaLabel.length > 10)")
    assert wrong == []
    page.close()


def test_the_explorer_picks_by_mouse_and_keyboard(browser: Browser, html: Path) -> None:
    page, wrong = opened(browser, html)
    scores, moment = page.locator("#scores tbody"), page.locator("#moment")
    first, at = scores.inner_text(), moment.inner_text()
    page.click("#before")
    assert scores.inner_text() != first and moment.inner_text() != at
    page.focus("#origin")
    page.keyboard.press("ArrowRight")
    assert moment.inner_text() == at and scores.inner_text() == first
    page.select_option("#symbol", "ETHUSDT")
    assert scores.inner_text() != first
    page.select_option("#unit", "return")
    assert "%" in scores.locator("td").first.inner_text()
    lines = page.locator("#chart-explorer .scatterlayer .trace")
    alone = lines.count()
    page.check("[name=member][value=random_walk]")
    wait_until(page, f"document.querySelectorAll('#chart-explorer .scatterlayer .trace').length !== {alone}")
    page.select_option("#fold", label="live")
    assert moment.inner_text().endswith("1 of 1")
    assert wrong == []
    page.close()


def test_hovering_tells_time_quantiles_and_the_realised_price(browser: Browser, html: Path) -> None:
    page, wrong = opened(browser, html)
    chart = page.locator("#chart-explorer")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.wait_for_selector("#chart-explorer .hoverlayer .legend")
    told = page.locator("#chart-explorer .hoverlayer").text_content() or ""
    assert all(name in told for name in ("ensemble, median", "ensemble 5 %", "ensemble 95 %", "realised close"))
    assert wrong == []
    page.close()


def test_the_theme_follows_the_system_and_the_switch(browser: Browser, html: Path) -> None:
    page, wrong = opened(browser, html, theme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.focus("#theme")
    page.keyboard.press("Enter")
    assert (
        page.locator("#theme").inner_text() == "Theme: light" and page.evaluate(ground) == "rgb(255, 255, 255)" != dark
    )
    page.keyboard.press("Enter")
    assert page.locator("#theme").inner_text() == "Theme: dark" and page.evaluate(ground) == dark
    assert wrong == []
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_it_fits_its_screen(browser: Browser, html: Path, tmp_path: Path, width: int, theme: str) -> None:
    page, wrong = opened(browser, html, width, theme)
    see_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shots = Path(os.environ.get("FORECAST_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=shots / f"report-{width}-{theme}.png", full_page=True)
    assert wrong == []
    page.close()
