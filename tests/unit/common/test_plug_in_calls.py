"""Functions of a user's files: how they are written, and that each mistake in them ends in one line."""

import textwrap
from pathlib import Path

import pytest

from common.errors import UserError
from common.plug_ins import PlugIn
from forecasting.bars import InsufficientHistoryError


def written(folder: Path, body: str, name: str = "mine.py") -> PlugIn:
    """A file with a function `f`."""
    (folder / name).write_text(textwrap.dedent(body))
    return PlugIn(str(folder / name), "f")


def refusal(plug_in: PlugIn) -> str:
    """What loading and calling the function says, less its folder."""
    with pytest.raises(UserError) as error:
        plug_in.call(plug_in.load(), 1)
    text = str(error.value)
    assert "\n" not in text
    return text.replace(f"{Path(plug_in.file).parent}/", "")


@pytest.mark.parametrize("text", ["mine.py:f", "folder/mine.py:my_f2", "/abs olute/mine.py:_f"])
def test_what_stands_for_a_function(text: str) -> None:
    plug_in = PlugIn.of(text)
    assert plug_in is not None
    assert str(plug_in) == text


@pytest.mark.parametrize(
    "text", ["ewma", "mine.py", "mine:f", "mine.py:", "mine.py:2f", "{a}.py:f", "a:mine.py:f", "m.py:a.b"]
)
def test_what_does_not(text: str) -> None:
    assert PlugIn.of(text) is None


def test_a_function_is_loaded_with_the_modules_beside_it(tmp_path: Path) -> None:
    (tmp_path / "helper_of_test.py").write_text("TWO = 2\n")
    plug_in = written(tmp_path, "from helper_of_test import TWO\ndef f(x):\n    return TWO * x\n")
    assert plug_in.call(plug_in.load(), 3) == 6
    assert not list(tmp_path.glob("__pycache__"))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            "def f(x):\n    y = 0\n    return x / y\n",
            "mine.py, line 3: ZeroDivisionError: division by zero (mine.py:f)",
        ),
        (
            "import no_such_module\n",
            "mine.py, line 1: ModuleNotFoundError: No module named 'no_such_module' (mine.py:f)",
        ),
        ("def f(x:\n", "mine.py, line 1: SyntaxError: '(' was never closed (mine.py, line 1) (mine.py:f)"),
        ("def g(x):\n    return x\n", "mine.py: has no function f; write one, or give another name"),
        ("f = 3\n", "mine.py: has no function f; write one, or give another name"),
        ("import sys\ndef f(x):\n    sys.exit('no')\n", "mine.py, line 3: SystemExit: no (mine.py:f)"),
        ("def f(x):\n    raise ValueError('two\\nlines')\n", "mine.py, line 2: ValueError: two lines (mine.py:f)"),
        (
            "def f():\n    return 1\n",
            "mine.py: TypeError: f() takes 0 positional arguments but 1 was given (mine.py:f)",
        ),
        (
            "def f(x):\n    return int('a')\ndef g(x):\n    return f(x)\n",
            "mine.py, line 2: ValueError: invalid literal for int() with base 10: 'a' (mine.py:f)",
        ),
    ],
)
def test_an_error_is_one_line_with_the_file_s_line(body: str, line: str, tmp_path: Path) -> None:
    refused = refusal(written(tmp_path, body))
    assert refused.replace(f"{tmp_path}/", "") == line


def test_an_error_in_a_module_of_the_workflow_names_the_line_that_called_it(tmp_path: Path) -> None:
    plug_in = written(tmp_path, "from market.intervals import step_ms\n\ndef f(x):\n    return step_ms(x)\n")
    assert refusal(plug_in).startswith("mine.py, line 4: ")


def test_too_short_a_history_is_passed_on(tmp_path: Path) -> None:
    body = """
    from forecasting.bars import InsufficientHistoryError
    def f(x):
        raise InsufficientHistoryError("short")
    """
    plug_in = written(tmp_path, body)
    with pytest.raises(InsufficientHistoryError, match="^short$"):
        plug_in.call(plug_in.load(), 1)


READS = "reads the file prices.csv; what it returns may depend on its arguments alone"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("def f(x):\n    return open('{folder}/prices.csv').read()\n", READS),
        ("import pandas\ndef f(x):\n    return pandas.read_csv('{folder}/prices.csv')\n", READS),
        ("from pathlib import Path\nDATA = Path('{folder}/prices.csv').read_text()\ndef f(x):\n    return x\n", READS),
        ("def f(x):\n    try:\n        open('{folder}/prices.csv')\n    except Exception:\n        return x\n", READS),
        (
            "import socket\ndef f(x):\n    socket.create_connection(('127.0.0.1', 9), timeout=1)\n",
            "uses the network; what it returns may depend on its arguments alone",
        ),
    ],
)
def test_reading_a_file_or_the_network_is_refused(body: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("close\n1\n")
    refused = refusal(written(tmp_path, body.format(folder=tmp_path)))
    assert refused == f"mine.py:f: {what}; constants may be in a module beside it"


def test_what_it_has_written_itself_it_may_read(tmp_path: Path) -> None:
    body = f"def f(x):\n    open('{tmp_path}/new', 'w').write('7')\n    return int(open('{tmp_path}/new').read()) + x\n"
    plug_in = written(tmp_path, body)
    assert plug_in.call(plug_in.load(), 1) == 8
    # and others may read what they like
    assert (tmp_path / "new").read_text() == "7"
