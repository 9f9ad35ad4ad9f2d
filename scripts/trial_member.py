"""Rule trial_member: the leak trial of a baseline, or of a member of the user's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd

from common.files import read_json, write_json
from common.job import job, say
from common.plug_ins import PlugIn
from forecasting.bars import Bars, InsufficientHistoryError
from forecasting.baselines.interface import Baseline, BaselineSettings, SymbolSeries, load_baseline
from forecasting.baselines.plug_in import load_plug_in
from forecasting.folds import FoldScheme
from forecasting.leaks import Leak, after_cut, changed, describe, find_leak, spread_cuts, tried, write_changed
from forecasting.quantiles import forecast_table
from forecasting.split import FoldFiles, Split
from forecasting.task import Task
from make_features import features_of_all
from market.candles import read_candles
from market.features import Feature
from market.plug_in_features import load_features
from predict_baselines import forecast, read_series


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
    spans: Sequence[int],
    extra: Sequence[PlugIn],
    cuts: int,
) -> None:
    """Write the result for the member (JSON: forecasting.leaks.Trials).

    plug_in: the function, where it is not in the registry. features, candles: a file a symbol, and `cutoff`, of the
    training cutoff. stride: bars between origins. spans, extra: the config's section `features`. cuts: after how many
    times of the test spans candles are changed. Raises UserError when the function fails.
    """
    baseline = load_plug_in(plug_in, twice=False) if plug_in else load_baseline(member)
    own = OwnFeatures(spans, load_features(extra)) if extra else None

    def leaks(fold: str, times: Sequence[int]) -> Iterator[Leak | None]:
        files = FoldFiles(fold, features, features, candles, [], cutoff, cutoff)
        read = read_series(files, task, scheme, stride, [feature.name for feature in extra])
        return FoldTrial(baseline, candles, own, task, settings).leaks(*read, times)

    trial = tried(member, spread_cuts(scheme, read_json(cutoff)["as_of"], task, stride, cuts), leaks)
    write_json(output, {"trials": [trial]})
    say(describe(trial))


class OwnFeatures(NamedTuple):
    """Features of the user's own, which members read: the config's spans, and the functions."""

    spans: Sequence[int]
    features: Sequence[Feature]

    def of_changed(self, candles: Sequence[str], interval: str, cut: int) -> list[pd.DataFrame]:
        """Their columns of each symbol, by open time, made of the candles of these files as changed after the cut."""
        names = [feature.name.format(span=span) for feature in self.features for span in feature.spans(self.spans)]
        with TemporaryDirectory() as folder:
            changed = write_changed(Path(folder), candles, interval, cut)
            frames = features_of_all(changed, self.spans, interval, self.features)
            return [frame.set_index("timestamp")[names] for frame in frames]


@dataclass(frozen=True)
class FoldTrial:
    """The trial of a member in a fold. candles: a file a symbol; own: features of the user's own, if there are any."""

    baseline: Baseline
    candles: Sequence[str]
    own: OwnFeatures | None
    task: Task
    settings: BaselineSettings

    def leaks(
        self,
        validation: tuple[Split, list[SymbolSeries]],
        test: tuple[Split, list[SymbolSeries]],
        cuts: Sequence[int],
    ) -> Iterator[Leak | None]:
        """The result of each cut (ms), after a leak that shows without one. A member that is skipped for too short a
        history has none."""
        split, series = test
        try:
            leak = self._without_cut(validation, test)
            if leak:
                yield leak
            clean = self._table(split, series)
            for cut in cuts:
                yield find_leak(clean, self._table(split, self._with_candles(series, cut)), cut, after_cut(cut))
        except InsufficientHistoryError as short:
            say(f"trial_member: fold {split.name} skipped (insufficient history: {short})")

    def _without_cut(
        self, validation: tuple[Split, list[SymbolSeries]], test: tuple[Split, list[SymbolSeries]]
    ) -> Leak | None:
        """A difference between two calls, or by candles that are in the history alone but not of the training, or by
        test candles in validation."""
        once = replace(self, settings=replace(self.settings, refit_bars=None))
        split, series = test
        # bars that a fit must not see are those that open at its end, or later
        last = split.fit_end - self.task.bar_ms
        history, later = once._with_history(series, last), once._with_candles(validation[1], last)
        causes = (
            ("between two calls", self, split, series, series),
            ("where candles after its training do, in its history alone", once, split, series, history),
            ("in validation, where the test candles do", once, *validation, later),
        )
        for cause, trial, part, before, after in causes:
            one, other = trial._table(part, before), trial._table(part, after)
            leak = find_leak(one, other, int(one["origin"].max()), cause)
            if leak:
                return leak
        return None

    def _table(self, split: Split, series: Sequence[SymbolSeries]) -> pd.DataFrame:
        """The member's forecasts of a split, as its file holds them."""
        quantiles = forecast(self.baseline, series, split.fit_end, self.task, self.settings)
        return forecast_table(split.symbols, split.origins, split.closes, quantiles, self.task.quantile_levels)

    def _with_history(self, series: Sequence[SymbolSeries], cut: int) -> list[SymbolSeries]:
        """The same with the history of candles that are changed after the cut."""
        frames = [changed(read_candles(path, self.task.interval), cut) for path in self.candles]
        bars = [Bars.of(frame, self.task.bar_ms) for frame in frames]
        return [replace(one, history=history) for one, history in zip(series, bars, strict=True)]

    def _with_candles(self, series: Sequence[SymbolSeries], cut: int) -> list[SymbolSeries]:
        """All of it made of candles that are changed after the cut."""
        other = [replace(one, bars=one.history) for one in self._with_history(series, cut)]
        if self.own is None:
            return other
        frames = self.own.of_changed(self.candles, self.task.interval, cut)
        return [
            replace(one, features=frame.reindex(one.bars.timestamp).to_numpy())
            for one, frame in zip(other, frames, strict=True)
        ]


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
            spans=snakemake.params.spans,
            extra=[PlugIn(*one) for one in snakemake.params.extra],
            cuts=snakemake.params.cuts,
        )
