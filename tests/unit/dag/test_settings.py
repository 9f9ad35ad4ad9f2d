"""Settings of a run: nothing is left open, sections fit together, and keys of earlier configs are refused."""

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from common.errors import UserError
from dag.renamed import RENAMED
from dag.settings import as_config, parse, resolve_all
from run_config import run_config
from support.configs import DEFAULTS, resolve, with_keys


def test_resolved_settings_have_no_null_that_stands_for_a_default() -> None:
    settings = resolve(with_keys(symbols=["BTC/USDT", "ethusdt"], horizon=30))
    assert settings["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert settings["folds"]["embargo"] == 30
    assert settings["tft"]["stride"] == 30
    assert (settings["consensus"]["symbol"], settings["consensus"]["horizon_minutes"]) == ("BTCUSDT", 30)
    assert settings["image"]


def test_the_best_symbol_is_left_to_the_decision() -> None:
    settings = resolve(with_keys(consensus__symbol="best"))
    assert settings["consensus"]["symbol"] == "best"
    assert resolve(with_keys(consensus__symbol="BTC/USDT"))["consensus"]["symbol"] == "BTCUSDT"


def test_live_history_warms_up_and_holds_a_lookback_and_a_season() -> None:
    assert resolve(DEFAULTS)["history_bars"] == {"train": 30 * 1440, "live": 10 * 240}


def test_live_history_lets_the_slowest_average_decay() -> None:
    def live(**changes: Any) -> int:
        return int(resolve(with_keys(**changes))["history_bars"]["live"])

    assert live(baselines__drift_halflife=500) == 5000
    # but is never longer than the history that there is, nor shorter than a lookback takes
    assert live(baselines__drift_halflife=9000) == 30 * 1440
    assert live(baselines__drift_halflife=1, lookback=2000) == 2281


def test_what_was_resolved_is_a_config_that_resolves_to_the_same() -> None:
    settings = resolve(with_keys(symbols=["BTC/USDT", "ethusdt"], consensus__symbol="ETH/USDT", image="x.sif"))
    assert resolve(as_config(settings)) == settings
    assert as_config(resolve(DEFAULTS))["image"] is None


def test_a_run_s_config_is_written_and_read_by_the_same_model(tmp_path: Path) -> None:
    settings = resolve(with_keys(symbols=["btcusdt"], tft__stride=7, plots__timefmt="%d. %b, {%H}"))
    run_config(str(tmp_path / "run.yaml"), as_config(settings))
    assert resolve(load_configfile(tmp_path / "run.yaml")) == settings


def test_resolving_leaves_the_config_as_it_was() -> None:
    config = deepcopy(DEFAULTS)
    resolve(config)
    assert config == DEFAULTS


def test_a_run_does_not_replay_what_it_writes_itself(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "candles" / "train"
    folder.mkdir(parents=True)
    replayed = {"exchange__id": "replay", "exchange__folder": str(folder)}
    with pytest.raises(UserError, match="exchange.folder: .* is inside paths.data"):
        resolve(with_keys(**replayed, paths__data=str(tmp_path / "data")))
    assert resolve(with_keys(**replayed, paths__data=str(tmp_path / "other")))


READY = {
    # interval, horizon: days, test bars, stride, spans
    ("1m", 60): (30, 1440, 15, [5, 15, 60, 240]),
    ("1m", 30): (30, 720, 7, [2, 8, 30, 120]),
    ("1m", 1): (30, 240, 1, [2, 4]),
    ("5m", 48): (120, 1152, 12, [4, 12, 48, 192]),
    ("15m", 32): (240, 768, 8, [3, 8, 32, 128]),
    ("1h", 24): (720, 576, 6, [2, 6, 24, 96]),
    ("1h", 1): (417, 240, 1, [2, 4]),
    ("4h", 12): (1200, 288, 3, [2, 3, 12, 48]),
    ("1d", 7): (1200, 133, 1, [2, 7, 28]),
    # longer than the most, since the folds need it
    ("1d", 30): (1647, 183, 7, [2, 8, 30, 120]),
}


@pytest.mark.parametrize(("interval", "horizon"), READY)
def test_interval_and_horizon_make_the_rest_ready(interval: str, horizon: int) -> None:
    settings = resolve(with_keys(interval=interval, horizon=horizon))
    folds, baselines = settings["folds"], settings["baselines"]
    found = (settings["days"], folds["test_bars"], folds["stride"], settings["features"]["spans"])
    assert found == READY[interval, horizon]
    assert (baselines["ewma_halflife"], baselines["drift_halflife"]) == (60, 240)
    assert settings["plots"]["pad_minutes"] == settings["consensus"]["horizon_minutes"] * 2


def test_half_lives_grow_with_the_horizon() -> None:
    baselines = resolve(with_keys(horizon=90))["baselines"]
    assert (baselines["ewma_halflife"], baselines["drift_halflife"]) == (90, 360)


def test_what_is_given_is_not_made_ready() -> None:
    given = {
        "days": 900, "features__spans": [3, 9], "folds__test_bars": 50, "folds__stride": 2,
        "baselines__ewma_halflife": 11, "baselines__drift_halflife": 0.5, "plots__pad_minutes": 0,
    }  # fmt: skip
    settings = resolve(with_keys(interval="1d", horizon=7, **given))
    for key, value in given.items():
        section, _, name = key.rpartition("__")
        assert (settings[section] if section else settings)[name] == value, key


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize(("interval", "horizon"), [*READY, ("3d", 2), ("1m", 1440), ("7m", 500)])
def test_the_days_that_are_asked_for_are_enough(interval: str, horizon: int, count: int) -> None:
    """Ready ones are, whatever the folds; and so are those that an error tells to give."""
    asked = {"interval": interval, "horizon": horizon, "folds__count": count}
    assert resolve(with_keys(**asked))
    with pytest.raises(UserError, match="^days: 0.1 of .* need .* give days=") as caught:
        resolve(with_keys(**asked, days=0.1))
    enough = int(re.findall(r"give days=(\d+) or more", str(caught.value))[0])
    for days in range(enough, enough + 40):
        assert resolve(with_keys(**asked, days=days))["days"] == days


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon": 0}, "horizon: invalid value 0; it must be a whole number, 1 or more"),
        ({"interval": "1y"}, "interval: invalid value '1y'; it must be a bar length such as"),
        ({"interval": "1d", "horizon": 7, "days": 365}, "days: 365 of 1d bars are 365; .* give days=774 or more"),
        ({"days": 0}, "days: invalid value 0; it must be a number above 0, or null"),
        ({"folds__stride": 0}, "folds.stride: invalid value 0; it must be a whole number, 1 or more, or null"),
        ({"features__spans": 5}, "features.spans: invalid value 5; it must be null, or a list of whole numbers"),
        ({"features__spans": [1]}, "features.spans.0: invalid value 1; it must be a whole number, 2 or more"),
        ({"baselines__ewma_halflife": -1}, "baselines.ewma_halflife: invalid value -1; it must be a number above 0"),
    ],
)
def test_a_mistake_about_ready_settings_gets_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        resolve(with_keys(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"days": 1}, "days: 1 of 1m bars are 1440; .* give days=2 or more"),
        (
            {"consensus__symbol": "XRPUSDT"},
            "consensus.symbol: XRPUSDT is not among symbols; it may be BTCUSDT, ETHUSDT, or best",
        ),
        (
            {"consensus__horizon_minutes": 61},
            "consensus.horizon_minutes: invalid value 61; .* at most the horizon .60 min",
        ),
        (
            {"interval": "5m", "days": 40, "consensus__horizon_minutes": 7},
            "must be a multiple of the interval .5 minutes",
        ),
        ({"exchange__id": "replay"}, "exchange.folder: is not set"),
        (
            {"exchange__columns": ["time", "open", "-"]},
            "exchange.columns: .time, open, -. must contain high, low",
        ),
        ({"exchange__columns": ["price"]}, "exchange.columns.0: invalid value 'price'; it must be time, open, high"),
        ({"exchange__min_share": 1.5}, "exchange.min_share: .* from 0 to 1"),
        (
            {"tft__stride": 5000},
            "tft.forks: a chunk of 8 windows, 5000 bars apart, takes 35108 bars, and the first",
        ),
        ({"folds__test_bars": 60}, "folds.test_bars: 60 bars hold no whole forecast; it must be more than horizon, 60"),
        ({"consensus__commission_flat": 1000}, "consensus.cash: 1000 does not cover consensus.commission_flat 1000"),
        ({"exchange__id": "replay", "exchange__folder": "nowhere"}, "exchange.folder: nowhere is not a folder"),
    ],
)
def test_settings_that_do_not_fit_together_get_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        resolve(with_keys(**changes))
    assert "\n" not in str(caught.value)


def test_a_correction_needs_windows_for_its_har() -> None:
    """21 horizons to fit on, where the baselines alone make do with less."""
    folds = {"folds__count": 1, "folds__test_bars": 1440}
    short = {"horizon": 240, "lookback": 60, "days": 5, "features__spans": [5, 240], "tft__forks": 1} | folds
    message = r"days: 5 of 1m bars are 7200; .* need 8260; give days=6 or more"
    with pytest.raises(UserError, match=message):
        resolve(with_keys(**short))
    assert resolve(with_keys(**short, members=["random_walk", "lhar_fhs"]))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model": {"averaging": 0.9}}, "model.averaging: is now tft.ema_decay"),
        ({"model": {"epochs": 3}}, "model: is now tft"),
        (
            {"model": {"epochs": 3, "validation": 0.1}},
            "model.validation: is now folds.validation_fraction; model: is now tft",
        ),
        ({"model": None}, "model: is now tft"),
        ({"combination": {"window": 9}}, "combination.window: is now calibration.window"),
        ({"combination": {"sum": 9}}, "combination: is now ensemble and calibration"),
        ({"tuned": {"trials": 9}}, "tuned.trials: is now tuning.previous_trials"),
        ({"consensus": {"horizon_m": 9}}, "consensus.horizon_m: is now consensus.horizon_minutes"),
        ({"consensus": {"require_skill": False}}, "consensus.require_skill: is now decision.require"),
        ({"plots": {"pad_min": 9}}, "plots.pad_min: is now plots.pad_minutes"),
        ({"exchange": {"tape_end": "2024-01-01"}}, "exchange.tape_end: is now exchange.data_end"),
        ({"branches": [{}, {"model": {"averaging": 0.9}}]}, "branches.1.model.averaging: is now tft.ema_decay"),
    ],
)
def test_a_renamed_key_is_refused_with_its_new_name(config: dict[str, Any], message: str) -> None:
    merged = deepcopy(DEFAULTS)
    update_config(merged, config)
    with pytest.raises(UserError) as caught:
        resolve_all(merged)
    assert str(caught.value) == message


def test_each_new_name_is_a_key() -> None:
    keys = {name for name, _ in _flat(parse(DEFAULTS).model_dump())}
    for new in RENAMED.values():
        assert set(new.split(" and ")) <= keys, new


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        yield prefix + key, value
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
