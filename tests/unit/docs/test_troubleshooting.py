"""docs/troubleshooting.md has every error that the code can raise."""

from support.troubleshooting import AREAS, PAGE, ROOT, SCRIPTS, Message, area_of, messages, page

SOURCE = """
HINT = "say the order"

def one(path, rows):
    reason = f"row {rows} is odd"
    if rows:
        raise UserError(f"{path}: has {len(rows) + 1} rows; {HINT}") from None
    raise UserError(
        f"no column is a price; {reason} "
        f"indeed"
    )

def other(error):
    def inner():
        return FlagError("no stage" + " is given")
    raise UserError(str(error))

def third(path, reason):
    raise ValueError("not for the user")
    raise UserError(f"{path}: {reason}")
"""


def test_the_page_has_every_error() -> None:
    hint = "run python tests/support/troubleshooting.py"
    assert page() == PAGE.read_text(), hint


def test_messages_are_what_is_written_and_the_rest_is_left_open() -> None:
    assert messages(SOURCE) == [
        Message("…: has … rows", "say the order"),
        Message("no column is a price", "row … is odd indeed"),
        Message("no stage is given", ""),
    ]


def test_an_error_that_the_tests_of_the_code_know_is_found() -> None:
    """The way from the source to the page, for one message of each kind of error."""
    text = PAGE.read_text()
    for message in ("no stage is given", "image: … does not exist", "non-overlapping windows of", "folds.count: …"):
        assert message in text


def test_every_area_has_modules_that_are_there() -> None:
    modules = [path.relative_to(SCRIPTS).with_suffix("").as_posix() for path in SCRIPTS.rglob("*.py")]
    for area in AREAS:
        lost = [start for start in area.modules if not any(module.startswith(start) for module in modules)]
        assert lost == [], area.title
    assert area_of("market/retries").title == "Exchanges"
    assert ROOT / "docs" in PAGE.parents
