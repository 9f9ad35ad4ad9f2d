"""The config, checked and resolved, once a run: one clear line for the first thing that is wrong."""

import difflib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from snakemake.utils import update_config

from common.errors import UserError
from dag.config import Config
from dag.fields import REFUSED_KEY
from dag.history import history_of
from dag.image import ROOT, sif_name
from dag.plug_ins import located
from dag.renamed import refuse_renamed
from forecasting.members import REGISTRY, check_registry
from market.intervals import MINUTE
from trading.documents import BEST

# plain values, as Snakemake's params take them: the config with no null that stands for a default, and `history_bars`
Settings = dict[str, Any]
# the same for all branches: one market, one image, and the folders that hold a subfolder for each branch
SHARED = ("exchange", "paths", "image", "branches")


class Resolved(NamedTuple):
    """A config as it was given, in canonical form, and the settings of each branch by its name; without branches those
    of the run, by no name."""

    config: dict[str, Any]
    runs: dict[str, Settings]


def resolve_all(config: Mapping[Any, Any], folders: Sequence[Path] = ()) -> Resolved:
    """The settings of all branches. folders: of the config's files, in which plug-ins are looked for too.

    Raises UserError on the first thing wrong.
    """
    check_registry(REGISTRY)
    given = _with_plug_ins(parse(config), folders)
    if not given.branches:
        return Resolved(given.model_dump(), {"": _resolved(given)})
    whole, canonical = given.model_dump(exclude={"branches"}), []
    runs: dict[str, Settings] = {}
    for place, branch in enumerate(given.branches):
        name, one, settings = _branch(place, branch, whole, folders)
        if name in runs:
            twin = list(runs).index(name)
            raise UserError(
                f"branches.{place}: is {name}, as branches.{twin} is; change its interval or horizon, "
                "or run it separately, with other paths"
            )
        # one store for all branches
        paths = {key: folder if key == "store" else f"{folder}/{name}" for key, folder in settings["paths"].items()}
        runs[name] = settings | {"paths": paths}
        canonical.append(one)
    return Resolved(whole | {"branches": canonical}, runs)


def parse(config: Mapping[Any, Any]) -> Config:
    """The config as its models have it, nulls and all. Raises UserError on the first key that they do not admit."""
    refuse_renamed(config)
    try:
        return Config.model_validate(config)
    except ValidationError as error:
        raise UserError(_message(error)) from error


def as_config(settings: Settings) -> dict[str, Any]:
    """Resolved settings in the form of a config again: resolving that gives the same.

    The default image stays null: its path depends on the folder, and the numbers do not.
    """
    default = Path(settings["image"]).name == sif_name()
    config = settings | {"image": None if default else settings["image"]}
    del config["history_bars"]
    return config


def _branch(
    place: int, branch: Mapping[str, Any], whole: Mapping[str, Any], folders: Sequence[Path]
) -> tuple[str, dict[str, Any], Settings]:
    """A branch's name, its settings as given in canonical form, and all that are resolved for it."""
    for key in SHARED:
        if key in branch:
            raise UserError(f"branches.{place}.{key}: is the same for all branches; set it for the whole run")
    merged = deepcopy(dict(whole))
    update_config(merged, branch)
    try:
        config = _with_plug_ins(parse(merged), folders)
        settings = _resolved(config)
    except UserError as error:
        where = "" if str(error).startswith(SHARED) else f"branches.{place}."
        raise UserError(f"{where}{error}") from error
    return f"{config.interval}-{config.horizon}", _part(config.model_dump(), branch), settings


def _part(values: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Of `values` those whose keys are in `keys`, sections within sections, keys in order."""
    return {
        key: _part(values[key], keys[key]) if isinstance(keys[key], Mapping) else values[key]
        for key in sorted(keys)
        if key in values
    }


def _resolved(config: Config) -> Settings:
    """Its settings, checked across sections."""
    _check_folder(config)
    _check_trade(config)
    history = history_of(config)
    settings = config.model_dump() | {"days": history.days}
    settings["features"]["spans"] = config.spans
    settings["folds"] |= {"test_bars": history.test_bars, "stride": config.test_stride, "embargo": config.embargo}
    settings["baselines"] |= {"ewma_halflife": config.ewma_halflife, "drift_halflife": config.drift_halflife}
    settings["tft"]["stride"] = config.origin_stride
    settings["consensus"]["symbol"] = config.decision_symbol
    settings["consensus"]["horizon_minutes"] = config.holding_minutes
    settings["decision"]["require"] = config.required_gates
    # a short name where the workflow runs in its checkout
    settings["image"] = config.image or (sif_name() if Path.cwd() == ROOT else str(ROOT / sif_name()))
    settings["plots"]["pad_minutes"] = config.pad_minutes
    settings["history_bars"] = history.bars
    settings["paths"]["store"] = config.paths.store or f"{config.paths.data}/store"
    return settings


def _with_plug_ins(config: Config, folders: Sequence[Path]) -> Config:
    """The config with the paths at which the files of its plug-ins were found."""
    features = config.features.model_copy(update={"extra": _located("features.extra", config.features.extra, folders)})
    return config.model_copy(update={"members": _located("members", config.members, folders), "features": features})


def _located(key: str, selected: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """The members or features under a key, with the paths at which plug-ins were found."""
    found = []
    for place, text in enumerate(selected):
        try:
            found.append(located(text, folders))
        except UserError as error:
            raise UserError(f"{key}.{place}: {error}") from error
    return found


def _message(error: ValidationError) -> str:
    """The first mistake in one line: its key, what it is and what it must be."""
    first = error.errors(include_url=False)[0]
    path = list(first["loc"])
    key = ".".join(map(str, path))
    if first["type"] in ("extra_forbidden", "invalid_key"):
        return f"{key}: unknown key; {_hint(str(path[-1]), list(_model_at(path[:-1]).model_fields))}"
    if first["type"] == "model_type":
        names = list(_model_at(path).model_fields)
        return f"{key}: invalid value {first['input']!r}; it must be a mapping of {', '.join(names)}"
    return f"{key}{'.' if first['type'] == REFUSED_KEY else ': '}{first['msg']}"


def _hint(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"it may be one of: {', '.join(names)}"


def _model_at(path: list[Any]) -> type[BaseModel]:
    """The model of the section at a path of keys."""
    model: type[BaseModel] = Config
    for key in path:
        kind = model.model_fields[key].annotation
        model = next(part for part in (kind, *get_args(kind)) if isinstance(part, type) and issubclass(part, BaseModel))
    return model


def _check_folder(config: Config) -> None:
    """Does the replayed folder exist, and is it none that the run writes?"""
    if config.exchange.id != "replay":
        return
    folder = config.exchange.folder
    if not folder:
        raise UserError("exchange.folder: is not set; exchange.id replay needs the folder of the candle files")
    if not Path(folder).is_dir():
        raise UserError(f"exchange.folder: {folder} is not a folder; give the folder of the candle files")
    if Path(folder).resolve().is_relative_to(Path(config.paths.data).resolve()):
        raise UserError(
            f"exchange.folder: {folder} is inside paths.data, which this run writes itself; "
            "copy the candle files elsewhere, or set another paths.data"
        )


def _check_trade(config: Config) -> None:
    """The decision's symbol, cash and holding period against what is forecast."""
    consensus, symbols = config.consensus, config.symbols
    if config.decision_symbol not in [*symbols, BEST]:
        raise UserError(
            f"consensus.symbol: {config.decision_symbol} is not among symbols; it may be {', '.join(symbols)}, or best"
        )
    if consensus.commission_flat >= consensus.cash:
        raise UserError(
            f"consensus.cash: {consensus.cash:g} does not cover consensus.commission_flat "
            f"{consensus.commission_flat:g}; it must be more"
        )
    bar = config.bar_ms // MINUTE
    minutes, longest = config.holding_minutes, config.horizon * bar
    if minutes % bar or minutes > longest:
        raise UserError(
            f"consensus.horizon_minutes: invalid value {minutes}; it must be a multiple of the interval "
            f"({bar} minutes), at most the horizon ({longest} minutes)"
        )
