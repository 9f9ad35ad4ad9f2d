"""The config's models: values have one form however they are written, and a mistake gets one clear line."""

from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.common.configfile import load_configfile

from common.errors import UserError
from dag.settings import parse
from support.configs import DEFAULTS, with_keys
from support.workflow import ROOT


def test_texts_from_within_braces_get_their_types() -> None:
    """`--config tft='{epochs: 5}'` reaches us as {"epochs": "5"}."""
    config = parse(
        with_keys(
            tft__epochs="5", tft__dropout="0.2", tft__learning_rate="1e-3", tft__seeds=["1", "2"], tft__stride="null",
            candles__max_missing="0.2", leak_trial__required="false", decision__require="[skill, novelty]",
            decision__stop=["1", "2.5"], exchange__folder="null", exchange__id="2", folds__embargo="7",
            exchange__options={"timeout": "5000", "nested": {"flag": "true"}, "list": ["1", "a"]},
        )
    )  # fmt: skip
    tft, exchange = config.tft, config.exchange
    assert (tft.epochs, tft.dropout, tft.learning_rate, tft.seeds, tft.stride) == (5, 0.2, 0.001, [1, 2], None)
    assert config.leak_trial.required is False
    assert (config.decision.require, config.decision.stop) == (["skill", "novelty"], [1, 2.5])
    assert config.folds.embargo == 7
    assert (exchange.folder, exchange.id) == (None, "2")
    assert exchange.options == {"timeout": 5000, "nested": {"flag": True}, "list": [1, "a"]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"symbols": ["BTC/USDT", "ETH/USDT:USDT"]}, {"symbols": ["btcusdt", "eth/usdt:usdt"]}),
        ({"consensus__symbol": "ETH/USDT"}, {"consensus__symbol": "ethusdt"}),
        ({"days": 30, "horizon": 30}, {"days": 30.0, "horizon": 30.0}),
        ({"as_of": "2024-05-31T12:00:00Z"}, {"as_of": datetime(2024, 5, 31, 12, tzinfo=UTC)}),
        ({"as_of": "2024-05-31T00:00:00Z"}, {"as_of": date(2024, 5, 31)}),
        ({"exchange__data_end": "2024-05-31T12:00:00Z"}, {"exchange__data_end": "2024-05-31T14:00:00+02:00"}),
        ({"exchange__options": {"a": 1, "b": 2}}, {"exchange__options": {"b": 2, "a": 1}}),
    ],
)
def test_two_spellings_are_one_config(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert parse(with_keys(**one)) == parse(with_keys(**other))
    assert parse(with_keys(**one)) != parse(DEFAULTS) or "days" in one
    # in bytes too: Snakemake compares what params look like
    assert repr(parse(with_keys(**one)).model_dump()) == repr(parse(with_keys(**other)).model_dump())


def test_the_order_of_keys_is_of_no_matter() -> None:
    turned = {key: DEFAULTS[key] for key in reversed(DEFAULTS)}
    turned["tft"] = {key: DEFAULTS["tft"][key] for key in reversed(DEFAULTS["tft"])}
    assert repr(parse(turned).model_dump()) == repr(parse(DEFAULTS).model_dump())


def test_a_missing_key_has_its_default() -> None:
    config = deepcopy(DEFAULTS)
    del config["tft"]["epochs"], config["plots"]
    assert parse(config) == parse(DEFAULTS) == parse({})


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), lambda text: f"\ufeff{text}"])
def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(change: Any, tmp_path: Path) -> None:
    text = (ROOT / "config" / "tiny.yaml").read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_bytes(change(text).encode())
    assert mine.read_bytes() != text.encode()
    assert parse(load_configfile(mine)) == parse(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizn": 3}, "horizn: unknown key; did you mean horizon?"),
        ({"tft__epoch": 3}, "tft.epoch: unknown key; did you mean epochs?"),
        ({"tft__epochs": "five"}, "tft.epochs: invalid value 'five'; it must be a whole number, 1 or more"),
        ({"tft": 3}, "tft: invalid value 3; it must be a mapping of seeds, epochs, "),
        ({"paths__data": "runs/{a}"}, r"paths.data: invalid value 'runs/\{a\}'; it must be a folder, with no braces"),
        ({"interval": "1x"}, "interval: invalid value '1x'; it must be a bar length such as"),
        ({"symbols": "BTC"}, "symbols: invalid value 'BTC'; it must be a list of symbols"),
        ({"symbols": ["BTC//"]}, "symbols.0: invalid value 'BTC//'; it must be a symbol such as BTC/USDT"),
        ({"symbols": ["BTC/USDT", "btcusdt"]}, "symbols: BTCUSDT is listed twice; list each once"),
        ({"quantiles": [0.1, 0.2, 0.5, 0.8, 0.9]}, "quantiles: .* must contain 0.05, 0.25, 0.5, 0.75, 0.95"),
        (
            {"exchange__options": {"options": {"apiKey": "x"}}},
            "exchange.options.options.apiKey: credentials do not belong in a config; set EXCHANGE_API_KEY",
        ),
        ({"exchange__data_end": "soon"}, "exchange.data_end: invalid value 'soon'; it must be a UTC time such as"),
        ({"as_of": "yesterday"}, "as_of: invalid value 'yesterday'; it must be latest, or a UTC time such as"),
        ({"tft__attention_heads": 3}, "tft.attention_heads: 3 does not divide tft.hidden_size, 16"),
        ({"tft__seeds": [1, 1]}, "tft.seeds: 1 is listed twice; list each once"),
        ({"tft__batch_size": 50}, "tft.batch_size: 50 is not a multiple of tft.forks, 8"),
        (
            {"tft__stride": 0},
            "tft.stride: invalid value 0; it must be a whole number, 1 or more, or null",
        ),
        ({"tft__ema_decay": 1}, "tft.ema_decay: invalid value 1; it must be a number from 0 to under 1"),
        ({"features__spans": [60, 5]}, "features.spans: .60, 5. must be strictly increasing"),
        ({"days": float("nan")}, "days: invalid value nan; it must be a finite number"),
        (
            {"quantiles": [0.05, 0.25, 0.5, 0.75, 0.95, float("nan")]},
            "quantiles.5: invalid value nan; it must be a finite number",
        ),
        ({"consensus__cash": float("inf")}, "consensus.cash: invalid value inf; it must be a finite number"),
        (
            {"decision__require": ["skil"]},
            "decision.require.0: unknown gate 'skil'; did you mean skill?",
        ),
        (
            {"decision__require": ["edge"]},
            "decision.require.0: unknown gate 'edge'; it may be one of: freshness, skill, direction, calibration, ",
        ),
        ({"decision__require": ["skill", "skill"]}, "decision.require: skill is listed twice; list each once"),
        ({"decision__min_probability": 1.5}, "decision.min_probability: invalid value 1.5; it must be a number from 0"),
        ({"decision__policy": "hedge"}, "decision.policy: unknown policy 'hedge'; it may be one of: trade, exposure"),
        ({"decision__policy": "exposur"}, "decision.policy: unknown policy 'exposur'; did you mean exposure?"),
        ({"decision__sizing": "half"}, "decision.sizing: invalid value 'half'; it must be all, fraction, kelly or vol"),
        ({"decision__risk_aversion": 0}, "decision.risk_aversion: invalid value 0; it must be a number above 0"),
        ({"decision__prior_sharpe": 40}, "decision.prior_sharpe: 40 is no Sharpe ratio of a year; usual is 0 to 1"),
        ({"decision__prior_sharpe": -0.4}, "decision.prior_sharpe: -0.4 is below 0, a short position; set decision.sh"),
        ({"decision__held_weight": -0.1}, "decision.held_weight: -0.1 is below 0, a short position"),
        ({"decision__held_weight": 1.1}, "decision.held_weight: invalid value 1.1; it must be a number from -1 to 1"),
        ({"decision__max_shortfall_pct": -1}, "decision.max_shortfall_pct: invalid value -1; it must be a percentage"),
        (
            {"consensus__funding_pct": 100},
            "consensus.funding_pct: invalid value 100; it must be a percentage from -100",
        ),
        ({"decision__stop": [2, 1]}, "decision.stop: .2.0, 1.0. must be strictly increasing"),
        ({"decision__take_profit": [0]}, "decision.take_profit.0: invalid value 0; it must be a number above 0"),
        ({"decision__exits": 0}, "decision.exits: invalid value 0; it must be a whole number, 1 or more"),
        ({"tft__seeds": [2**70]}, "tft.seeds.0: invalid value .*; it must be a whole number from 0 to"),
        ({"tft__epochs": "x: y: z"}, "tft.epochs: invalid value 'x: y: z'; it must be a whole number"),
        ({"symbols": "[BTCUSDT"}, "symbols: invalid value '.BTCUSDT'; it must be a list of symbols"),
        ({"plots__timefmt": ""}, "plots.timefmt: invalid value ''; it must be a string"),
        ({"members": ["ewma", "har_fhs"]}, "members: ewma needs random_walk; add it"),
        ({"members": ["tft", "random_walk", "har_fhs"]}, "members: tft needs lhar_fhs; add it"),
        (
            {"members": ["random_walk", "arima"]},
            "members.1: unknown member 'arima'; it may be one of: tft, tft_raw, rand",
        ),
        ({"members": ["random_walk", "lhar_fsh"]}, "members.1: unknown member 'lhar_fsh'; did you mean lhar_fhs?"),
        ({"members": ["random_walk", "oracle"]}, "members.1: unknown member 'oracle'; "),
        ({"members": ["random_walk", "random_walk"]}, "members: random_walk is listed twice; list each once"),
        ({"members": []}, r"members: invalid value \[\]; it must be a list of members such as"),
        (
            {"baselines__refit_bars": 0},
            "baselines.refit_bars: invalid value 0; it must be a whole number, 1 or more, or null",
        ),
        (
            {"ensemble__weights": "best"},
            "ensemble.weights: invalid value 'best'; it must be exponential, equal or simplex",
        ),
        ({"ensemble__tolerance": -0.1}, "ensemble.tolerance: invalid value -0.1; it must be a number, 0 or"),
        ({"calibration__window": 0}, "calibration.window: invalid value 0; it must be a whole number, 1 or more"),
        ({"sample_paths__count": 0}, "sample_paths.count: invalid value 0; it must be a whole number, 1 or more"),
        ({"sample_paths__seed": -1}, "sample_paths.seed: invalid value -1; it must be a whole number from 0 to"),
        ({"calibration__strength": 1.5}, "calibration.strength: invalid value 1.5; it must be a number from 0 to 1"),
        ({"exchange__options": {"a": float("inf")}}, "exchange.options: inf is not a finite number"),
        ({"tft__epochs": True}, "tft.epochs: invalid value True; it must be a whole number"),
        ({"tft__dropout": "nan"}, "tft.dropout: invalid value 'nan'; it must be a number from 0 to under 1"),
        ({"plots": None}, "plots: invalid value None; it must be a mapping of timefmt, pad_minutes"),
        ({"1": 3}, "1: unknown key; it may be one of: exchange, symbols, "),
    ],
)
def test_a_mistake_gets_one_line_that_names_the_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as caught:
        parse(with_keys(**changes))
    assert "\n" not in str(caught.value)


def test_a_key_that_is_no_text_is_named() -> None:
    with pytest.raises(UserError, match="^5: unknown key; it may be one of: exchange"):
        parse(DEFAULTS | {5: 3})


def test_members_may_be_few() -> None:
    for members in (["random_walk"], ["tft_raw", "random_walk"], ["random_walk", "lhar_fhs", "tft"]):
        assert parse(with_keys(members=members)).members == members


# --- what tuning may try ---


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"epochs": {"low": 1, "high": 2}}, ".epochs: unknown key; it may be one of: learning_rate, ema_decay"),
        ({"dropuot": {"low": 1, "high": 2}}, ".dropuot: unknown key; did you mean dropout?"),
        ({"dropout": {"lo": 1}}, ".dropout.lo: unknown key; did you mean low?"),
        (
            {"dropout": 3},
            ".dropout: invalid value 3; it must be null, or a mapping of low, high and log, or of choices",
        ),
        ({"dropout": {"low": 0.1}}, ".dropout: must have either low and high, or choices"),
        ({"dropout": {"low": 0, "high": 0.5, "choices": [0]}}, ".dropout: must have either low and high"),
        ({"dropout": {"low": 0.1, "high": 1}}, ".dropout.high: invalid value 1; it must be a number from 0 to under 1"),
        ({"dropout": {"low": 0.3, "high": 0.1}}, ".dropout: low 0.3 must be less than high 0.1"),
        ({"dropout": {"low": 0, "high": 0.1, "log": True}}, ".dropout: log needs a low above 0"),
        ({"dropout": {"choices": [0.1], "log": True}}, ".dropout: log needs a low above 0"),
        (
            {"hidden_size": {"choices": [8, 1.5]}},
            ".hidden_size.choices.1: invalid value 1.5; it must be a whole number",
        ),
        ({"hidden_size": {"choices": []}}, r".hidden_size.choices: invalid value \[\]; it must be a list of values"),
        (
            {"learning_rate": {"choices": ["x"]}},
            ".learning_rate.choices.0: invalid value 'x'; it must be a number above",
        ),
    ],
)
def test_a_mistake_in_the_space_gets_one_line(space: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^tuning.space{message}") as caught:
        parse(with_keys(tuning__space=space))
    assert "\n" not in str(caught.value)


def test_a_space_from_the_command_line_gets_its_types() -> None:
    """`--config tuning='{space: {…}}'` reaches us as texts."""
    changes = {"hidden_size": {"choices": ["8", "16"]}, "dropout": "null", "lstm_layers": {"low": "1", "high": "2"}}
    changes |= {"learning_rate": {"low": "0.001", "high": "0.1", "log": "true"}}
    space = parse(with_keys(tuning__space=DEFAULTS["tuning"]["space"] | changes)).tuning.space.model_dump()
    assert space == {
        "learning_rate": {"low": 0.001, "high": 0.1, "log": True},
        "ema_decay": DEFAULTS["tuning"]["space"]["ema_decay"],
        "hidden_size": {"choices": [8, 16]},
        "hidden_continuous_size": None,
        "lstm_layers": {"low": 1, "high": 2},
        "dropout": None,
        "gradient_clip": None,
    }
    # optuna takes whole numbers for such
    assert isinstance(space["lstm_layers"]["low"], int)
