"""Plug-ins in a config: where their files are looked for, what they are made of, and mistakes, before the first job."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from common.plug_ins import PlugIn
from dag.plug_ins import files, located
from dag.settings import as_config, resolve_all
from support.configs import DEFAULTS, with_keys
from support.workflow import ROOT

MEMBER = "def my_member(series, task, settings):\n    return None\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MEMBER)
    return tmp_path


def members(*selected: str) -> dict[str, Any]:
    return with_keys(members=["random_walk", *selected])


def test_a_file_is_looked_for_in_the_working_folder_then_beside_the_config(folder: Path) -> None:
    other = folder / "conf"
    other.mkdir()
    (other / "theirs.py").write_text(MEMBER)
    assert located("mine.py:my_member", []) == "mine.py:my_member"
    assert located("./conf/../mine.py:my_member", []) == "mine.py:my_member"
    assert located(f"{folder}/mine.py:my_member", []) == "mine.py:my_member"
    assert located("theirs.py:my_member", [other]) == "conf/theirs.py:my_member"
    (other / "mine.py").write_text(MEMBER)
    assert located("mine.py:my_member", [other]) == "mine.py:my_member"
    assert located("ewma", []) == "ewma"


def test_a_file_elsewhere_keeps_its_whole_path(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far.py").write_text(MEMBER)
    assert located("far.py:my_member", [elsewhere]) == f"{elsewhere}/far.py:my_member"


def test_what_was_resolved_resolves_to_the_same_without_the_config_s_folder(folder: Path) -> None:
    (folder / "conf").mkdir()
    (folder / "conf" / "theirs.py").write_text(MEMBER)
    config = with_keys(members=["random_walk", "theirs.py:my_member"])
    (settings,) = resolve_all(config, [folder / "conf"]).runs.values()
    assert settings["members"] == ["random_walk", "conf/theirs.py:my_member"]
    assert resolve_all(as_config(settings)).runs == {"": settings}
    branches = resolve_all(with_keys(branches=[{"members": config["members"]}]), [folder / "conf"])
    assert resolve_all(branches.config) == branches


def test_a_plug_in_is_made_of_the_modules_beside_it_and_those_of_the_workflow(folder: Path) -> None:
    (folder / "mine.py").write_text("import near\nfrom forecasting.baselines.har import fit_har\nimport numpy\n")
    (folder / "near.py").write_text("from further import x\n")
    (folder / "further.py").write_text("x = 1\n")
    found = files(PlugIn("mine.py", "my_member"))
    assert found[0] == "mine.py"
    assert {"near.py", "further.py", str(ROOT / "scripts/forecasting/baselines/har.py")} <= set(found)
    # of those of the workflow too, what they import
    assert str(ROOT / "scripts/market/intervals.py") in found
    assert not [path for path in found if "numpy" in path]


@pytest.mark.parametrize(
    ("selected", "line"),
    [
        (
            ["none.py:my_member"],
            r"members.1: none.py does not exist in {folder}; give its path from the working folder",
        ),
        (["mine.py:other"], r"members.1: mine.py has no function other; it has my_member"),
        (["broken.py:f"], r"members.1: broken.py, line 2: SyntaxError: invalid syntax"),
        (["user.py:f"], r"members.1: broken.py, line 2: SyntaxError: invalid syntax"),
        (
            ["mine.py"],
            r"members.1: invalid value 'mine.py'; it must be file.py:function, without braces or further colons",
        ),
        (["mine.py:my member"], r"members.1: invalid value 'mine.py:my member'; it must be file.py:function, "),
        (
            ["mine.py:ewma"],
            r"members.1: mine.py:ewma: ewma is a member of the workflow's own; give the function another name",
        ),
        (["mine.py:oracle"], r"members.1: mine.py:oracle: oracle is a member of the workflow's own; "),
        (
            ["mine.py:my_member", "theirs.py:my_member"],
            r"members: theirs.py:my_member would have the name of mine.py:my_member; give one of the functions another",
        ),
        (["mine.py:my_member", "mine.py:my_member"], r"members: mine.py:my_member is listed twice; list each once"),
    ],
)
def test_a_mistake_is_one_line(selected: list[str], line: str, folder: Path) -> None:
    (folder / "broken.py").write_text("import numpy\ndef = 3\n")
    (folder / "user.py").write_text("import broken\ndef f(s): ...\n")
    with pytest.raises(UserError) as error:
        resolve_all(members(*selected))
    assert str(error.value).startswith(line.format(folder=folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (
            ["rsi"],
            "features.extra.0: invalid value 'rsi'; it must be file.py:function, without braces or further colons",
        ),
        (["none.py:f"], "features.extra.0: none.py does not exist in {folder}; give its path from the working folder"),
        (
            "mine.py:f",
            "features.extra: invalid value 'mine.py:f'; it must be a list of functions such as [mine.py:my_feat",
        ),
    ],
)
def test_so_is_one_in_a_feature(extra: Any, line: str, folder: Path) -> None:
    with pytest.raises(UserError) as error:
        resolve_all(with_keys(features__extra=extra))
    assert str(error.value).startswith(line.format(folder=folder))


@pytest.mark.parametrize(
    ("body", "clock"),
    [
        ("import time\ndef f(s):\n    return time.time()\n", "3: reads the clock (time.time)"),
        ("from time import time_ns as now\ndef f(s):\n    return now()\n", "3: reads the clock (time.time_ns)"),
        ("import datetime as dt\ndef f(s):\n    return dt.date.today()\n", "3: reads the clock (datetime.date.today)"),
        (
            "from datetime import datetime\nN = datetime.now()\ndef f(s): ...\n",
            "2: reads the clock (datetime.datetime.now)",
        ),
        (
            "import pandas as pd\ndef f(s):\n    return pd.Timestamp.now()\n",
            "3: reads the clock (pandas.Timestamp.now)",
        ),
        (
            "import numpy as np\ndef f(s):\n    return np.datetime64('now')\n",
            "3: reads the clock (np.datetime64('now'))",
        ),
    ],
)
def test_reading_the_clock_is_refused_before_the_first_job(body: str, clock: str, folder: Path) -> None:
    for name, path in (("f", "clock.py"), ("g", "user.py")):
        (folder / "clock.py").write_text(body)
        (folder / "user.py").write_text("from clock import f\ndef g(s):\n    return f(s)\n")
        with pytest.raises(UserError) as error:
            located(f"{path}:{name}", [])
        expected = f"clock.py, line {clock}; what it returns may depend on its arguments alone"
        assert str(error.value) == expected


def test_measuring_a_duration_and_a_time_that_is_given_are_no_clock(folder: Path) -> None:
    body = (
        "import time, pandas as pd\ndef f(s):\n    t = time.perf_counter()\n    return pd.Timestamp('2024-01-01'), t\n"
    )
    (folder / "fine.py").write_text(body)
    assert located("fine.py:f", []) == "fine.py:f"


def test_the_default_config_has_no_plug_in() -> None:
    (settings,) = resolve_all(DEFAULTS).runs.values()
    assert settings["features"]["extra"] == []
    assert settings["leak_trial"] == {"cuts": 50, "required": False}
