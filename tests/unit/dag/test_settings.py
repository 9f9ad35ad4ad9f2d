"""The config: every default is valid, schema, file and docs name the same keys, and a mistake gets one clear line."""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from common.errors import UserError
from dag.settings import SCHEMA, as_config, history_bars, resolve
from support.configs import DEFAULTS, with_keys
from support.workflow import ROOT

VARIANTS = sorted({path.name for path in (ROOT / "config").glob("*.yaml")} - {"config.yaml", "schema.yaml"})


def keys_of(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """Dotted names of all keys that a schema admits."""
    found: set[str] = set()
    for name, part in schema["properties"].items():
        found |= keys_of(part, f"{prefix}{name}.") if "properties" in part else {prefix + name}
    return found


def leaves(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted name → value of all keys in a config; a mapping without a section of its own in the schema is a value."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        inner = isinstance(value, dict) and prefix + name not in ("exchange.options", "tuning.space")
        found |= leaves(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return found


def test_config_and_schema_hold_the_same_keys() -> None:
    schema = yaml.safe_load(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(leaves(DEFAULTS)) == keys_of(schema)


def test_every_section_of_the_schema_is_closed_and_complete() -> None:
    schema = yaml.safe_load(SCHEMA.read_text())
    sections = [schema, *(part for part in schema["properties"].values() if "properties" in part)]
    for section in sections:
        assert section["additionalProperties"] is False
        assert set(section["required"]) == set(section["properties"])


def test_every_key_has_a_comment_of_its_own() -> None:
    lines = (ROOT / "config" / "config.yaml").read_text().splitlines()
    for name in leaves(DEFAULTS):
        key = name.split(".")[-1]
        assert any(line.strip().startswith(f"{key}:") and "# " in line for line in lines), name


def test_docs_say_every_key_with_its_default() -> None:
    rows = (ROOT / "docs" / "configuration.md").read_text().splitlines()
    for name, value in leaves(DEFAULTS).items():
        written = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
        assert any(row.startswith(f"| `{name}` | `{written}` |") for row in rows), f"{name} | {written}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_ready_variants_only_change_known_keys(variant: str) -> None:
    changed = leaves(yaml.safe_load((ROOT / "config" / variant).read_text()))
    assert changed
    assert set(changed) <= set(leaves(DEFAULTS))


def test_resolved_config_has_no_open_ends() -> None:
    settings = resolve(with_keys(symbols=["BTC/USDT", "ethusdt"], horizon=30))
    assert settings["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert settings["markets"] == {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ethusdt"}
    assert settings["folds"]["embargo"] == 30
    assert settings["consensus"]["symbol"] == "BTCUSDT"
    assert settings["consensus"]["horizon_minutes"] == 30


def test_texts_from_within_braces_get_their_types() -> None:
    """`--config tft='{epochs: 5}'` reaches us as {"epochs": "5"}."""
    config = with_keys(
        tft__epochs="5", tft__dropout="0.2", tft__seeds=["1", "2"], consensus__require_skill="false",
        exchange__folder="null", exchange__id="2", exchange__options={"timeout": "5000"}, folds__embargo="null",
    )  # fmt: skip
    settings = resolve(config)
    assert settings["tft"]["epochs"] == 5
    assert settings["tft"]["dropout"] == 0.2
    assert settings["tft"]["seeds"] == [1, 2]
    assert settings["consensus"]["require_skill"] is False
    assert settings["exchange"]["folder"] is None
    assert settings["exchange"]["id"] == "2"
    assert settings["exchange"]["options"] == {"timeout": 5000}
    assert settings["folds"]["embargo"] == settings["horizon"]


def test_what_yaml_makes_of_a_time_or_a_whole_number_is_taken() -> None:
    settings = resolve(with_keys(as_of=datetime(2024, 5, 31, 12, tzinfo=UTC), horizon=30.0, folds__count=2.0))
    assert settings["as_of"] == "2024-05-31T12:00:00+00:00"
    assert (settings["horizon"], settings["folds"]["count"]) == (30, 2)
    assert isinstance(settings["horizon"], int)


def test_live_history_lets_the_slowest_average_fade() -> None:
    settings = resolve(with_keys(baselines__drift_halflife=500))
    assert history_bars(settings, 60_000)["live"] == 5000
    # but is never longer than the history that there is, nor shorter than a lookback takes
    assert history_bars(resolve(with_keys(baselines__drift_halflife=9000)), 60_000)["live"] == 30 * 1440
    assert history_bars(resolve(with_keys(baselines__drift_halflife=1, lookback=2000)), 60_000)["live"] == 2281


def test_what_was_resolved_is_a_config_that_resolves_to_the_same() -> None:
    settings = resolve(with_keys(symbols=["BTC/USDT", "ethusdt"], consensus__symbol="ETH/USDT"))
    assert resolve(as_config(settings)) == settings


def test_a_run_does_not_replay_what_it_writes_itself(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "candles" / "train"
    folder.mkdir(parents=True)
    replayed = {"exchange__id": "replay", "exchange__folder": str(folder)}
    with pytest.raises(UserError, match="exchange.folder: .* lies in paths.data"):
        resolve(with_keys(**replayed, paths__data=str(tmp_path / "data")))
    assert resolve(with_keys(**replayed, paths__data=str(tmp_path / "other")))


def test_the_order_of_keys_makes_no_other_settings() -> None:
    turned = {key: DEFAULTS[key] for key in reversed(DEFAULTS)}
    turned["tft"] = {key: DEFAULTS["tft"][key] for key in reversed(DEFAULTS["tft"])}
    assert repr(resolve(turned)) == repr(resolve(DEFAULTS))


def test_resolving_leaves_the_config_as_it_was() -> None:
    config = deepcopy(DEFAULTS)
    resolve(config)
    assert config == DEFAULTS


def test_live_history_warms_up_and_holds_a_lookback_and_a_season() -> None:
    settings = resolve(DEFAULTS)
    assert history_bars(settings, 60_000) == {"train": 30 * 1440, "live": 10 * 240}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"horizn": 3}, "horizn: there is no such key; did you mean horizon?"),
        ({"tft__epoch": 3}, "tft.epoch: there is no such key; did you mean epochs?"),
        ({"tft__epochs": "five"}, "tft.epochs: 'five' is not possible; it must be a whole number, 1 or more"),
        ({"tft": 3}, "tft: 3 is not possible"),
        ({"paths__data": "runs/{a}"}, r"paths.data: 'runs/\{a\}' is not possible; it must be a folder, with no braces"),
        ({"interval": "1x"}, "interval: '1x' is not possible; it must be a bar length such as"),
        ({"symbols": "BTC"}, "symbols: 'BTC' is not possible; it must be a list of symbols"),
        ({"symbols": ["BTC//"]}, "symbols.0: 'BTC//' is not possible"),
        ({"symbols": ["BTC/USDT", "BTCUSDT"]}, "names one twice"),
        ({"days": 1}, "days: 1 of 1m bars are 1440; .* give days=5 or more"),
        ({"quantiles": [0.1, 0.2, 0.5, 0.8, 0.9]}, "quantiles: .* must rise and hold 0.05, 0.25, 0.5, 0.75, 0.95"),
        (
            {"consensus__symbol": "XRPUSDT"},
            "consensus.symbol: XRPUSDT is not among symbols; it may be BTCUSDT, ETHUSDT",
        ),
        (
            {"consensus__horizon_minutes": 61},
            "consensus.horizon_minutes: 61 minutes is not possible; .* at most the horizon",
        ),
        (
            {"interval": "5m", "days": 40, "consensus__horizon_minutes": 7},
            "must be a multiple of the interval .5 minutes",
        ),
        ({"exchange__id": "replay"}, "exchange.folder: is not set"),
        ({"exchange__options": {"options": {"apiKey": "x"}}}, "exchange.options.options.apiKey: keys do not go"),
        ({"exchange__data_end": "soon"}, "exchange.data_end: 'soon' is not a time"),
        ({"as_of": "yesterday"}, "as_of: 'yesterday' is not a time"),
        ({"tft__attention_heads": 3}, "tft.attention_heads: 3 does not divide tft.hidden_size 16"),
        ({"tft__seeds": [1, 1]}, "tft.seeds: .* names one twice"),
        ({"tft__batch_size": 50}, "tft.batch_size: 50 windows are no whole number of chunks; .* tft.forks, 8"),
        (
            {"tft__stride": 0},
            "tft.stride: 0 is not possible; it must be a whole number of bars, 1 or more, or null",
        ),
        (
            {"tft__stride": 5000},
            "tft.forks: a chunk of 8 windows, 5000 bars apart, takes 35108 bars, and the first",
        ),
        ({"tft__ema_decay": 1}, "tft.ema_decay: 1 is not possible; it must be a number from 0 to under 1"),
        ({"folds__test_bars": 60}, "folds.test_bars: 60 holds no whole forecast; it must be more than horizon, 60"),
        ({"features__spans": [60, 5]}, "features.spans: .* must rise"),
        ({"days": float("nan")}, "days: nan is not possible; it must be a finite number"),
        ({"quantiles": [0.05, 0.25, 0.5, 0.75, 0.95, float("nan")]}, "quantiles.5: nan is not possible"),
        ({"consensus__cash": float("inf")}, "consensus.cash: inf is not possible; it must be a finite number"),
        ({"consensus__commission_flat": 1000}, "consensus.cash: 1000 does not cover consensus.commission_flat 1000"),
        ({"tft__seeds": [2**70]}, "tft.seeds.0: .* is not possible; it must be a whole number from 0 to"),
        ({"tft__epochs": "x: y: z"}, "tft.epochs: 'x: y: z' is not possible"),
        ({"symbols": "[BTCUSDT"}, "symbols: '.BTCUSDT' is not possible; it must be a list of symbols"),
        ({"exchange__id": "replay", "exchange__folder": "nowhere"}, "exchange.folder: nowhere is no folder"),
        ({"plots__timefmt": ""}, "plots.timefmt: '' is not possible"),
        ({"members": ["ewma", "har_fhs"]}, "members: ewma needs random_walk; add it"),
        ({"members": ["tft", "random_walk", "har_fhs"]}, "members: tft needs lhar_fhs; add it"),
        ({"members": ["random_walk", "arima"]}, "members.1: 'arima' is not possible; it must be one of tft, tft_raw,"),
        ({"members": ["random_walk", "oracle"]}, "members.1: 'oracle' is not possible"),
        ({"members": ["random_walk", "random_walk"]}, "members: .* it must be a list of different members"),
        ({"members": []}, "members: .* it must be a list of different members"),
        ({"baselines__refit_bars": 0}, "baselines.refit_bars: 0 is not possible; it must be .* or null for never"),
        ({"ensemble__weights": "best"}, "ensemble.weights: 'best' is not possible; it must be equal or simplex"),
        ({"ensemble__tolerance": -0.1}, "ensemble.tolerance: -0.1 is not possible; it must be a number, 0 or"),
        ({"calibration__window": 0}, "calibration.window: 0 is not possible; it must be a whole number, 1 or more"),
        ({"calibration__strength": 1.5}, "calibration.strength: 1.5 is not possible"),
    ],
)
def test_a_mistake_gets_one_line_that_names_the_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        resolve(with_keys(**changes))
    assert "\n" not in str(caught.value)


def test_a_correction_needs_windows_for_its_har() -> None:
    """21 horizons to fit on, where the baselines alone make do with less."""
    short = {"horizon": 240, "lookback": 60, "days": 5, "folds__count": 1, "tft__forks": 1}
    said = r"days: 5 of 1m bars are 7200; .* need 8260; give days=6 or more"
    with pytest.raises(UserError, match=said):
        resolve(with_keys(**short))
    assert resolve(with_keys(**short, members=["random_walk", "lhar_fhs"]))


def test_members_may_be_few() -> None:
    for members in (["random_walk"], ["tft_raw", "random_walk"], ["random_walk", "lhar_fhs", "tft"]):
        assert resolve(with_keys(members=members))["members"] == members
    assert resolve(with_keys(baselines__refit_bars="60"))["baselines"]["refit_bars"] == 60


def test_a_missing_key_is_named() -> None:
    config = deepcopy(DEFAULTS)
    del config["tft"]["epochs"]
    with pytest.raises(UserError, match=r"tft.epochs: is missing"):
        resolve(config)
