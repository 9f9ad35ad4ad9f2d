"""The config, checked and resolved: one clear line for the first thing that is wrong."""

import difflib
import math
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from snakemake.utils import update_config

from common.errors import UserError
from common.secrets import secret_in
from dag.image import ROOT, sif_name
from forecasting.baselines.har import HAR_WINDOWS
from forecasting.members import BASE, RANDOM_WALK, TFT
from market.intervals import DAY, MINUTE, parse_time, season_bars, step_ms
from market.symbols import slug
from market.warmup import warm_up

Config = dict[str, Any]
SCHEMA = Path(__file__).resolve().parents[2] / "config" / "schema.yaml"
NEEDED_LEVELS = {0.05, 0.25, 0.5, 0.75, 0.95}
# what branches have in common: a market, an image, and the folders that each has one of its own in
OF_THE_RUN = ("exchange", "paths", "image", "branches")


def resolve_all(config: Config) -> dict[str, Config]:
    """Resolved settings of each branch, by the branch's name; without branches those of the run, by no name.

    Raises UserError on the first thing wrong.
    """
    run = typed(config)
    if not run["branches"]:
        return {"": resolve(config)}
    found: dict[str, Config] = {}
    for place, branch in enumerate(run["branches"]):
        for key in OF_THE_RUN:
            if key in branch:
                raise UserError(f"branches.{place}.{key}: is the same for all branches; set it for the whole run")
        own = deepcopy(run) | {"branches": []}
        update_config(own, branch)
        try:
            settings = resolve(own)
        except UserError as error:
            where = "" if str(error).startswith(OF_THE_RUN) else f"branches.{place}."
            raise UserError(f"{where}{error}") from error
        name = f"{settings['interval']}-{settings['horizon']}"
        if name in found:
            twin = list(found).index(name)
            raise UserError(
                f"branches.{place}: is {name}, as branches.{twin} is; let its interval or horizon be another, "
                "or make it a run of its own, with other paths"
            )
        found[name] = settings | {"paths": {key: f"{folder}/{name}" for key, folder in settings["paths"].items()}}
    return found


def typed(config: Config) -> Config:
    """The config as the schema has it, nulls and all. Raises UserError on the first key that it does not admit."""
    schema = yaml.safe_load(SCHEMA.read_text())
    settings: Config = _typed(deepcopy(config), schema)
    _check_schema(settings, schema)
    return settings


def resolve(config: Config) -> Config:
    """The config with every null that stands for a default replaced. Raises UserError on the first thing wrong.

    Symbols become the names that files carry (BTCUSDT); `markets` maps them to what the user wrote.
    """
    settings = typed(config)
    written = settings["symbols"]
    settings["symbols"] = [slug(symbol) for symbol in written]
    settings["markets"] = dict(zip(settings["symbols"], written, strict=True))
    folds, tft, consensus = settings["folds"], settings["tft"], settings["consensus"]
    if folds["embargo"] is None:
        folds["embargo"] = settings["horizon"]
    if tft["stride"] is None:
        tft["stride"] = min(settings["horizon"], settings["lookback"])
    consensus["symbol"] = slug(consensus["symbol"] or written[0])
    step = step_ms(settings["interval"])
    if consensus["horizon_minutes"] is None:
        consensus["horizon_minutes"] = settings["horizon"] * step // MINUTE
    if settings["image"] is None:
        # short where the workflow runs in its own folder, as it mostly does
        settings["image"] = sif_name() if Path.cwd() == ROOT else str(ROOT / sif_name())
    _check_finite(settings)
    _check_values(settings)
    _check_space(settings["tuning"]["space"])
    _check_members(settings["members"])
    _check_trade(settings, step)
    _check_history(settings, step)
    return settings


def as_config(settings: Config) -> Config:
    """Resolved settings in the form of a config again: resolving that gives the same.

    The image of this source's own lock stays null: it is another in another folder, and the numbers are the same.
    """
    own = Path(settings["image"]).name == sif_name()
    return {key: value for key, value in settings.items() if key != "markets"} | {
        "symbols": list(settings["markets"].values()),
        "image": None if own else settings["image"],
    }


def history_bars(settings: Config, step: int) -> dict[str, int]:
    """Bars to fetch before each cutoff's as_of: the whole history for `train`, enough for one origin for `live`."""
    train, warm = int(settings["days"] * DAY // step), warm_up(settings["features"]["spans"])
    # ten half-lives leave a thousandth to what came before: an EWMA of the live bars is one of the whole history
    faded = math.ceil(10 * max(settings["baselines"][name] for name in ("ewma_halflife", "drift_halflife")))
    least = warm + settings["lookback"] + 1
    return {"train": train, "live": max(least, min(train, max(season_bars(step) + 1, faded)))}


def _typed(value: Any, schema: Config) -> Any:
    """`value` with what YAML or the command line made of it turned into the type that the schema says."""
    if isinstance(value, dict):
        # within braces, --config gives nothing but texts;
        # a mapping of anything, such as ccxt's options, has no types to go by: what looks like a number is one
        free = schema.get("additionalProperties") or ({} if "properties" in schema else {"type": "any"})
        known = schema.get("properties", {})
        # in one order, whatever file a key stands in: Snakemake takes another order for another param
        return {key: _typed(value[key], known.get(key, free)) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return [_typed(part, schema.get("items", {})) for part in value]
    kind = schema.get("type", "string")
    if isinstance(value, datetime):
        # YAML reads an unquoted time as one
        return value.isoformat()
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str) or kind == "string":
        return value
    try:
        meant = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return value if isinstance(kind, list) and "string" in kind and meant is not None else meant


def _check_schema(config: Config, schema: Config) -> None:
    """Raise UserError on the first key that the schema does not admit."""
    errors = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(config), key=lambda e: (list(map(str, e.path)), e.message)
    )
    if not errors:
        return
    error = errors[0]
    key = ".".join(map(str, error.path))
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = next(name for name in error.instance if name not in known)
        near = difflib.get_close_matches(str(unknown), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it may be one of: {', '.join(known)}"
        raise UserError(f"{'.'.join(filter(None, [key, str(unknown)]))}: there is no such key; {hint}")
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        raise UserError(f"{'.'.join(filter(None, [key, missing]))}: is missing; config/config.yaml has its default")
    raise UserError(f"{key}: {error.instance!r} is not possible; it must be {_meaning(schema, list(error.path))}")


def _meaning(schema: Config, path: list[Any]) -> str:
    """What the schema says of the key at `path`: the description of the nearest key that has one."""
    meaning = "a mapping of settings"
    for part in path:
        properties = schema.get("properties", {})
        schema = schema["items"] if isinstance(part, int) else properties.get(part) or schema["additionalProperties"]
        meaning = schema.get("description", meaning)
    return meaning


def _check_finite(settings: dict[Any, Any], prefix: str = "") -> None:
    """Raise UserError on a number that is none: YAML knows .nan and .inf."""
    for name, value in settings.items():
        if isinstance(value, dict | list):
            _check_finite(value if isinstance(value, dict) else dict(enumerate(value)), f"{prefix}{name}.")
        elif isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{prefix}{name}: {value} is not possible; it must be a finite number")


def _check_values(settings: Config) -> None:
    """Checks within one section that a schema cannot say."""
    symbols, quantile_levels, spans = settings["symbols"], settings["quantiles"], settings["features"]["spans"]
    exchange, tft = settings["exchange"], settings["tft"]
    if len(set(symbols)) < len(symbols):
        raise UserError(f"symbols: {', '.join(symbols)} names one twice; name each once")
    if quantile_levels != sorted(set(quantile_levels)) or not set(quantile_levels) >= NEEDED_LEVELS:
        raise UserError(f"quantiles: {quantile_levels} must rise and hold {', '.join(map(str, sorted(NEEDED_LEVELS)))}")
    if spans != sorted(set(spans)):
        raise UserError(f"features.spans: {spans} must rise, each once")
    if tft["hidden_size"] % tft["attention_heads"]:
        raise UserError(
            f"tft.attention_heads: {tft['attention_heads']} does not divide tft.hidden_size {tft['hidden_size']}"
        )
    if tft["batch_size"] > tft["forks"] and tft["batch_size"] % tft["forks"]:
        raise UserError(
            f"tft.batch_size: {tft['batch_size']} windows are no whole number of chunks; "
            f"it must be a multiple of tft.forks, {tft['forks']}"
        )
    if len(set(tft["seeds"])) < len(tft["seeds"]):
        raise UserError(f"tft.seeds: {tft['seeds']} names one twice; name each once")
    if exchange["id"] == "replay" and not exchange["folder"]:
        raise UserError("exchange.folder: is not set; exchange.id replay needs the folder of the candle files")
    if exchange["id"] == "replay" and not Path(exchange["folder"]).is_dir():
        raise UserError(f"exchange.folder: {exchange['folder']} is no folder; give the folder of the candle files")
    own = Path(settings["paths"]["data"]).resolve()
    if exchange["id"] == "replay" and Path(exchange["folder"]).resolve().is_relative_to(own):
        raise UserError(
            f"exchange.folder: {exchange['folder']} lies in paths.data, which this run writes itself; "
            "copy the candle files elsewhere, or set another paths.data"
        )
    secret = secret_in(exchange["options"])
    if secret:
        raise UserError(f"exchange.options.{secret}: keys do not go into a config; set them in the environment")
    _check_time("exchange.data_end", exchange["data_end"])
    if settings["as_of"] != "latest":
        _check_time("as_of", settings["as_of"])


def _check_space(space: Config) -> None:
    """Is what may be tried of each setting a range or a list, of what `tft` admits?"""
    admitted = yaml.safe_load(SCHEMA.read_text())["properties"]["tft"]["properties"]
    for name, given in space.items():
        if given is None:
            continue
        key, schema = f"tuning.space.{name}", admitted[name]
        low, high, choices = (given.get(part) for part in ("low", "high", "choices"))
        if (choices is None) == (low is None and high is None) or (low is None) != (high is None):
            raise UserError(f"{key}: must have either low and high, or choices; null takes one away")
        for value in choices or [low, high]:
            if not jsonschema.Draft202012Validator(schema).is_valid(value):
                raise UserError(f"{key}: {value!r} is not possible; it must be {schema['description']}")
        if choices is None and low >= high:
            raise UserError(f"{key}: low {low} must be less than high {high}")
        if given.get("log") and (choices is not None or low <= 0):
            raise UserError(f"{key}: log needs a low above 0 and a high; give them, or log: false")


def _check_time(key: str, text: str) -> None:
    try:
        parse_time(text)
    except ValueError as error:
        raise UserError(f'{key}: {text!r} is not a time; write it as "2024-05-31T12:00:00Z"') from error


def _check_members(members: list[str]) -> None:
    """Is everyone there whom the others need?"""
    needs = {name: RANDOM_WALK for name in members} | ({TFT: BASE} if TFT in members else {})
    for name, needed in needs.items():
        if needed not in members:
            raise UserError(f"members: {name} needs {needed}; add it")


def _check_trade(settings: Config, step: int) -> None:
    """The decision's symbol and horizon against what is forecast."""
    consensus, symbols = settings["consensus"], settings["symbols"]
    if consensus["symbol"] not in symbols:
        raise UserError(f"consensus.symbol: {consensus['symbol']} is not among symbols; it may be {', '.join(symbols)}")
    if consensus["commission_flat"] >= consensus["cash"]:
        raise UserError(
            f"consensus.cash: {consensus['cash']} does not cover consensus.commission_flat "
            f"{consensus['commission_flat']}; it must be more"
        )
    minutes, bar, longest = consensus["horizon_minutes"], step // MINUTE, settings["horizon"] * step // MINUTE
    if minutes % bar or minutes > longest:
        raise UserError(
            f"consensus.horizon_minutes: {minutes} minutes is not possible; it must be a multiple of the interval "
            f"({bar} minutes), at most the horizon ({longest} minutes)"
        )


def _check_history(settings: Config, step: int) -> None:
    """Is there enough history for the first fold's windows, and a whole test window in every fold?"""
    folds, lookback, horizon = settings["folds"], settings["lookback"], settings["horizon"]
    share, batch = folds["validation_fraction"], settings["tft"]["batch_size"]
    if folds["test_bars"] <= horizon:
        raise UserError(
            f"folds.test_bars: {folds['test_bars']} holds no whole forecast; it must be more than horizon, {horizon}"
        )
    # the fitting part must hold a batch of windows, and the validation part one whole forecast
    fit, validate = (lookback + horizon + batch) / (1 - share), (horizon + max(1, horizon // 4)) / share
    if TFT in settings["members"]:
        fit = max(fit, (HAR_WINDOWS + 1) * horizon / (1 - share))
    warm = warm_up(settings["features"]["spans"])
    needed = warm + math.ceil(max(fit, validate)) + folds["embargo"] + folds["count"] * folds["test_bars"]
    bars = history_bars(settings, step)["train"]
    if bars < needed:
        raise UserError(
            f"days: {settings['days']} of {settings['interval']} bars are {bars}; warm-up, lookback, horizon, folds "
            f"and embargo need {needed}; give days={math.ceil(needed * step / DAY)} or more, or fewer or shorter folds"
        )
    _check_chunk(
        settings, math.floor((bars - warm - folds["embargo"] - folds["count"] * folds["test_bars"]) * (1 - share))
    )


def _check_chunk(settings: Config, bars: int) -> None:
    """Do the first fold's `bars` to fit on hold a whole chunk?"""
    tft = settings["tft"]
    forks = min(tft["forks"], tft["batch_size"])
    needed = settings["lookback"] + (forks - 1) * tft["stride"] + settings["horizon"]
    if bars < needed:
        raise UserError(
            f"tft.forks: a chunk of {forks} windows, {tft['stride']} bars apart, takes {needed} bars, "
            f"and the first fold has {bars} to fit on; give fewer forks, a smaller tft.stride, or more days"
        )
