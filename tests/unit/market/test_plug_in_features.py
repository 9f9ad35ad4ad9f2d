"""A user's functions as features: columns named after them, and what is refused of what they return."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from common.plug_ins import PlugIn
from market.features import compute_features, feature_names
from market.intervals import MINUTE, iso
from market.plug_in_features import load_features
from market.warmup import warm_up
from support.candles import SPANS, candles

FRAME = candles(2000)
WARM = warm_up(SPANS)
FIRST = iso(int(FRAME["timestamp"][WARM]))
ALONE = "what it returns may depend on its arguments alone"


def plug_in(folder: Path, body: str, name: str = "f") -> PlugIn:
    (folder / "mine.py").write_text(f"import numpy as np\nimport pandas as pd\n{textwrap.dedent(body)}")
    return PlugIn(str(folder / "mine.py"), name)


def test_a_function_of_a_segment_is_a_column_and_one_of_a_span_a_column_for_each(tmp_path: Path) -> None:
    body = """
    def body(segment):
        return segment.close / segment.open - 1

    def above_low(segment, span):
        return segment.close / pd.Series(segment.low).rolling(span).min().to_numpy() - 1
    """
    extra = load_features([plug_in(tmp_path, body, name) for name in ("body", "above_low")])
    made = compute_features(FRAME, None, SPANS, MINUTE, extra)
    added = ["body", *(f"above_low_{span}" for span in SPANS)]
    assert list(made)[-4 - len(added) : -4] == added
    assert list(made)[4:] == feature_names(SPANS, False, extra)
    np.testing.assert_allclose(made["body"], (FRAME["close"] / FRAME["open"] - 1)[WARM:], rtol=1e-3, atol=1e-8)
    expected = FRAME["close"].iloc[-1] / FRAME["low"].tail(60).min() - 1
    assert made["above_low_60"].iloc[-1] == pytest.approx(expected, rel=1e-5)
    assert made["body"].dtype == np.float32
    # the others are the same as without
    plain = compute_features(FRAME, None, SPANS, MINUTE)
    assert plain.to_numpy().tobytes() == made[list(plain)].to_numpy().tobytes()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            "return segment.close[1:]",
            "{f}: returned an array of shape (1999,); it must return one of shape (2000,): a value a bar",
        ),
        ("return 3.5", "{f}: returned an array of shape (); it must return one of shape (2000,): a value a bar"),
        ("return None", "{f}: returned None; it must return one of shape (2000,): a value a bar"),
        ("return 'a'", "{f}: returned no array of numbers but str; it must return one of shape (2000,): a value a bar"),
        (
            "return pd.Series(segment.close).rolling(300).mean()",
            f"{{f}}: is nan at {FIRST}; it must be finite after the first {WARM} bars of a segment, the warm-up",
        ),
        (
            "return segment.close * np.random.default_rng().uniform()",
            f"{{f}}: two calls differ at {iso(int(FRAME['timestamp'][0]))}; {ALONE}, on no clock, no file, no random "
            "numbers without a seed",
        ),
        (
            "return open('/tmp/no-such-file').read()",
            f"{{f}}: reads the file /tmp/no-such-file; {ALONE}; constants may be in a module beside it",
        ),
        ("return 1 / 0 * segment.close", "{file}, line 4: ZeroDivisionError: division by zero ({f})"),
    ],
)
def test_what_is_no_column_is_refused_in_one_line(body: str, line: str, tmp_path: Path) -> None:
    wrong = plug_in(tmp_path, f"def f(segment):\n    {body}\n")
    with pytest.raises(UserError) as error:
        compute_features(FRAME, None, SPANS, MINUTE, load_features([wrong]))
    assert str(error.value) == line.format(f=wrong, file=wrong.file)


@pytest.mark.parametrize("body", ["segment.close.cumsum()", "pd.Series(segment.close).ewm(halflife=300).mean()"])
def test_one_that_uses_more_bars_than_the_warm_up_is_refused(body: str, tmp_path: Path) -> None:
    wrong = plug_in(tmp_path, f"def f(segment):\n    return np.asarray({body})\n")
    with pytest.raises(UserError) as error:
        compute_features(FRAME, None, SPANS, MINUTE, load_features([wrong]))
    start = len(FRAME) - 2 * WARM
    assert str(error.value).startswith(f"{wrong}: is ")
    assert f"where history starts {start} bars later; it may use the last {WARM} bars at most" in str(error.value)


def test_it_may_use_all_of_the_warm_up(tmp_path: Path) -> None:
    right = plug_in(tmp_path, f"def f(segment):\n    return pd.Series(segment.close).rolling({WARM}).mean()\n")
    assert "f" in compute_features(FRAME, None, SPANS, MINUTE, load_features([right]))


@pytest.mark.parametrize("name", ["rsi", "close", "volatility", "volume_7", "day_sin", "others_return", "position"])
def test_a_name_that_is_taken_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is a feature of this name already; give the function another name"):
        load_features([plug_in(tmp_path, f"def {name}(segment): ...\n", name)])


def test_one_takes_a_segment_or_a_segment_and_a_span(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="takes 3 arguments; it must take a segment, or a segment and a span"):
        load_features([plug_in(tmp_path, "def f(a, b, c): ...\n")])
