"""Rule trial_member: the leak trial of a baseline, or of a member of the user's own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from common.files import read_json, write_json
from common.job import job, say
from common.plug_ins import PlugIn
from forecasting.bars import Bars, InsufficientHistoryError
from forecasting.baselines.interface import Baseline, BaselineSettings, load_baseline
from forecasting.baselines.plug_in import load_plug_in
from forecasting.folds import FoldScheme
from forecasting.leaks import Leak, Trial, after_cut, changed, describe, find_leak, spread_cuts
from forecasting.quantiles import forecast_table
from forecasting.split import FoldFiles, Split, Splits, read_splits
from forecasting.task import Task
from market.candles import read_candles
from predict_baselines import forecast, series_of


def trial_member(
    output: str,
    member: str,
    plug_in: PlugIn | None,
    features: Sequence[str],
    candles: Sequence[str],
    cutoff: str,
    task: Task,
    scheme: FoldScheme,
    stride: int,
    settings: BaselineSettings,
    cuts: int,
) -> None:
    """Write the result for the member (JSON: forecasting.leaks.Trials).

    plug_in: the function, where it is not in the registry. features, candles: a file a symbol, and `cutoff`, of the
    training cutoff. stride: bars between origins. cuts: after how many times of the test spans candles are changed.
    Raises UserError when the function fails.
    """
    baseline = load_plug_in(plug_in, twice=False) if plug_in else load_baseline(member)
    frames = [read_candles(path, task.interval) for path in candles]
    trial: Trial = {"kind": "member", "name": member, "cuts": 0, "leak": None}
    for fold, times in spread_cuts(scheme, read_json(cutoff)["as_of"], task, stride, cuts).items():
        files = FoldFiles(fold, features, features, candles, [], cutoff, cutoff)
        splits = read_splits(files, task, scheme, stride, ["timestamp", "segment"])
        for leak in trials_of_fold(baseline, splits, frames, times, task, settings):
            trial["cuts"] += 1
            trial["leak"] = leak
            if leak:
                break
        if trial["leak"]:
            break
    write_json(output, {"trials": [trial]})
    say(describe(trial))


def trials_of_fold(
    baseline: Baseline,
    splits: Splits,
    frames: Sequence[pd.DataFrame],
    cuts: Sequence[int],
    task: Task,
    settings: BaselineSettings,
) -> Iterator[Leak | None]:
    """The result of each cut (ms) of a fold; with the first those of two calls, of candles that are no history, and of
    validation. frames: the symbols' candles.

    A member that is skipped for too short a history has none.
    """
    once = replace(settings, refit_bars=None)

    def table(split: Split, settings: BaselineSettings) -> pd.DataFrame:
        quantiles = forecast(baseline, series_of(split), split.fit_end, task, settings)
        return forecast_table(split.symbols, split.origins, quantiles, task.quantile_levels)

    def with_history(split: Split, cut: int) -> Split:
        return replace(split, history=[Bars.of(changed(frame, cut), task.bar_ms) for frame in frames])

    def with_candles(split: Split, cut: int) -> Split:
        other = with_history(split, cut)
        return replace(other, bars=other.history)

    test = splits.test
    try:
        clean = table(test, settings)
        end = int(clean["origin"].max())
        leak = find_leak(clean, table(test, settings), end, "between two calls")
        # bars that a fit must not see are those that open at its end, or later
        last = test.fit_end - task.bar_ms
        if not leak:
            fitted = clean if settings == once else table(test, once)
            later = table(with_history(test, last), once)
            leak = find_leak(fitted, later, end, "where candles after its training do, in its history alone")
        if not leak:
            validated, later = (
                table(split, once) for split in (splits.validation, with_candles(splits.validation, last))
            )
            leak = find_leak(validated, later, end, "in validation, where the test candles do")
        if leak:
            yield leak
        for cut in cuts:
            yield find_leak(clean, table(with_candles(test, cut), settings), cut, after_cut(cut))
    except InsufficientHistoryError as short:
        say(f"trial_member: fold {test.name} skipped (insufficient history: {short})")


if __name__ == "__main__":
    with job() as snakemake:
        trial_member(
            output=snakemake.output.trials,
            member=snakemake.wildcards.member,
            plug_in=PlugIn(*snakemake.params.plug_in) if snakemake.params.plug_in else None,
            features=list(snakemake.input.features),
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            settings=BaselineSettings(**snakemake.params.baselines),
            cuts=snakemake.params.cuts,
        )
