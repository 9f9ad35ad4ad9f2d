"""Rule predict_plugin: the forecasts of a member of a user's own, of a fold's validation origins, and of its test or
live origins."""

from collections.abc import Sequence
from dataclasses import replace

from common.job import job
from common.plug_ins import PlugIn
from forecasting.baselines.interface import BaselineSettings
from forecasting.baselines.plug_in import load_plug_in
from forecasting.folds import FoldScheme
from forecasting.leaks import check_passed
from forecasting.quantiles import single_precision
from forecasting.split import FoldFiles
from forecasting.task import Task
from predict_baselines import read_series, write_forecasts


def predict_plugin(
    output: str,
    validation: str,
    plug_in: PlugIn,
    trials: Sequence[str],
    files: FoldFiles,
    task: Task,
    scheme: FoldScheme,
    stride: int,
    settings: BaselineSettings,
    extra: Sequence[str] = (),
) -> None:
    """Write the forecasts of one fold, and those at its validation origins, as rule predict_baselines does.

    extra: features of the user's own. trials: the result of the member's leak trial, where the config insists that it
    passes. Raises UserError when it did not, or the function fails or returns what is no forecast.
    """
    check_passed(trials, [plug_in.name])
    (validated, past), (tested, now) = read_series(files, task, scheme, stride, extra)
    name = plug_in.name
    once, twice = ({name: load_plug_in(plug_in, again)} for again in (False, True))
    # validation has many times as many origins: two calls are compared on the others
    fitted_once = replace(settings, refit_bars=None)
    write_forecasts({name: validation}, once, validated, past, task, fitted_once, single_precision)
    write_forecasts({name: output}, twice, tested, now, task, settings)


if __name__ == "__main__":
    with job() as snakemake:
        predict_plugin(
            output=snakemake.output.forecasts,
            validation=snakemake.output.validation,
            plug_in=PlugIn(*snakemake.params.plug_in),
            trials=list(snakemake.input.trials),
            files=FoldFiles.of_job(snakemake.wildcards.fold, snakemake.input),
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            settings=BaselineSettings(**snakemake.params.baselines),
            extra=snakemake.params.extra,
        )
