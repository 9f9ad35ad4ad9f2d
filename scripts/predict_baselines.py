"""Rule predict_baselines: the baselines' forecasts of a fold's validation origins, and of its test or live origins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import fingerprint, read_parquet, write_parquet
from common.job import job, say
from forecasting.bars import InsufficientHistoryError
from forecasting.baselines.interface import Baseline, BaselineSettings, SymbolSeries, load_baseline
from forecasting.folds import FoldScheme
from forecasting.members import RANDOM_WALK
from forecasting.quantiles import forecast_table, no_forecasts, single_precision
from forecasting.split import FoldFiles, Split, own_columns, read_splits
from forecasting.task import Task
from market.intervals import iso


def predict_baselines(
    output: Mapping[str, str],
    validation: Mapping[str, str],
    files: FoldFiles,
    task: Task,
    scheme: FoldScheme,
    stride: int,
    settings: BaselineSettings,
    extra: Sequence[str] = (),
    code: Sequence[str] = (),
) -> None:
    """Write the forecasts of every baseline for one fold, to `output[member]`, and those at its validation origins, to
    `validation[member]`. A skipped member's files have no rows. Validation hangs on training alone: where its files are
    there, and of the same candles, settings and `code` (files), they stay, as they do at each live decision.

    Features are read for the origins alone, which all members share, and those of the user's own, named `extra`;
    baselines are fitted on the candles, which also hold the bars that warm the features up. stride: bars between
    origins. A baseline is not refitted in validation.

    Raises UserError when the fold has no origin, a symbol has nothing to fit on, or its candles lack an origin's bar.
    """
    members = {name: load_baseline(name) for name in output}
    (validated, past), (tested, now) = read_series(files, task, scheme, stride, extra)
    trained = [files.train_cutoff, *files.train_features, *files.candles, *code]
    key = fingerprint(trained, asdict(task), asdict(scheme), asdict(settings), stride, files.fold, list(extra))
    if validation and all(is_made_from(key, path) for path in validation.values()):
        say(f"predict: fold {files.fold}: validation is that of the same training")
        for path in validation.values():
            Path(path).touch()
    else:
        once = replace(settings, refit_bars=None)
        write_forecasts(validation, members, validated, past, task, once, partial(as_validation, key=key))
    write_forecasts(output, members, tested, now, task, settings)


def as_validation(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """A table of forecasts as its file holds those of validation, with what identifies what they were made of."""
    small = single_precision(table)
    small.attrs["made_from"] = key
    return small


def is_made_from(key: str, path: str) -> bool:
    """Whether a file of validation is there, and made of what `key` identifies."""
    try:
        return read_parquet(path, ["step"]).attrs.get("made_from") == key
    except UserError:
        return False


def read_series(
    files: FoldFiles, task: Task, scheme: FoldScheme, stride: int, extra: Sequence[str]
) -> tuple[tuple[Split, list[SymbolSeries]], tuple[Split, list[SymbolSeries]]]:
    """A fold's validation and test split, each with what baselines are given of it; extra: features of the user's
    own."""
    columns = own_columns(files, extra)
    splits = read_splits(files, task, scheme, stride, ["timestamp", "segment", *columns])
    past = splits.validation.features
    return (
        (splits.validation, series_of(splits.validation, past, columns)),
        (splits.test, series_of(splits.test, past, columns)),
    )


def write_forecasts(
    paths: Mapping[str, str],
    members: Mapping[str, Baseline],
    split: Split,
    series: Sequence[SymbolSeries],
    task: Task,
    settings: BaselineSettings,
    form: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
) -> None:
    """Write every member's forecasts of a split, made of its `series`, to `paths[member]`, in that form."""
    skipped = {}
    blocks = fitted_blocks(series, split.fit_end, settings)
    for name, path in paths.items():
        try:
            quantiles = forecast_blocks(members[name], blocks, task, settings)
            levels = task.quantile_levels
            write_parquet(path, form(forecast_table(split.symbols, split.origins, split.closes, quantiles, levels)))
        except InsufficientHistoryError as short:
            if name == RANDOM_WALK:
                raise UserError(
                    f"insufficient history before {iso(split.fit_end)}: {short}; "
                    "increase days, or use fewer or shorter folds"
                ) from short
            skipped[name] = str(short)
            write_parquet(path, form(no_forecasts(split.symbols, task.horizon, task.quantile_levels)))
    notes = "".join(f"; {name} skipped (insufficient history: {why})" for name, why in skipped.items())
    named = next(iter(paths)) if len(paths) == 1 else f"{len(paths)} members"
    say(f"predict: fold {split.name}: {sum(map(len, split.rows))} origins, {named}{notes}")


def series_of(split: Split, past: Sequence[pd.DataFrame], columns: Sequence[str]) -> list[SymbolSeries]:
    """What baselines are given of a split's symbols. past: features of the training cutoff, a frame a symbol, which
    those of the split continue; columns: those of the user's own."""
    series = []
    for place, rows in enumerate(split.bar_rows()):
        bars, own = split.bars[place], None
        if columns:
            frame = pd.concat([past[place], split.features[place]]).drop_duplicates("timestamp", keep="last")
            own = frame.set_index("timestamp")[list(columns)].reindex(bars.timestamp).to_numpy()
        series.append(SymbolSeries(split.history[place], bars, rows, split.symbols[place], own))
    return series


@dataclass(frozen=True)
class Block:
    """Origins that are forecast by one fit: `series` of the symbols that have some, with the history that is fitted on,
    and of every symbol which of its origins [origins] they are."""

    series: list[SymbolSeries]
    masks: list[np.ndarray]


def fitted_blocks(series: Sequence[SymbolSeries], fit_end: int, settings: BaselineSettings) -> list[Block]:
    """The blocks of a split's origins: the first is fitted on the history before `fit_end` (ms); with
    settings.refit_bars there is another every so many bars, fitted on the bars observed by then.

    All members are given the same ones, so that what several of them need of a block's series is made once.
    """
    times = [one.bars.timestamp[one.origins] for one in series]
    first = min(int(opened[0]) for opened in times if len(opened))
    length = settings.refit_bars * series[0].bars.bar_ms if settings.refit_bars else 1 << 62
    numbers = [(opened - first) // length for opened in times]
    blocks = []
    for number in np.unique(np.concatenate(numbers)):
        # what is observed as the block's first origin closes
        end = fit_end if number == 0 else first + int(number) * length
        masks = [of_symbol == number for of_symbol in numbers]
        parts = [
            replace(one, history=one.history.before(end), origins=one.origins[mask])
            for one, mask in zip(series, masks, strict=True)
            # a symbol without an origin may have no history either
            if mask.any()
        ]
        blocks.append(Block(parts, masks))
    return blocks


def forecast(
    baseline: Baseline, series: Sequence[SymbolSeries], fit_end: int, task: Task, settings: BaselineSettings
) -> list[np.ndarray]:
    """A baseline's quantiles [origins, horizon, levels] of each symbol, fitted on its history before `fit_end` (ms),
    and refitted as `fitted_blocks` says. Raises InsufficientHistoryError."""
    return forecast_blocks(baseline, fitted_blocks(series, fit_end, settings), task, settings)


def forecast_blocks(
    baseline: Baseline, blocks: Sequence[Block], task: Task, settings: BaselineSettings
) -> list[np.ndarray]:
    """`forecast` of the blocks of a split."""
    shape = task.horizon, len(task.quantile_levels)
    quantiles = [np.empty((len(mask), *shape)) for mask in blocks[0].masks]
    for block in blocks:
        places = [place for place, mask in enumerate(block.masks) if mask.any()]
        for place, part in zip(places, baseline(block.series, task, settings), strict=True):
            quantiles[place][block.masks[place]] = part
    return quantiles


if __name__ == "__main__":
    with job() as snakemake:
        names = snakemake.params.members
        predict_baselines(
            output={name: snakemake.output[name] for name in names},
            validation={name: snakemake.output[f"{name}_validation"] for name in names},
            files=FoldFiles.of_job(snakemake.wildcards.fold, snakemake.input),
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            settings=BaselineSettings(**snakemake.params.baselines),
            extra=snakemake.params.extra,
            code=list(snakemake.input.code),
        )
