"""How fast other libraries train their TFT: python benchmarks/others.py [--lookback 168] [--horizon 24] [--hidden 16].

darts and neuralforecast, where they are installed (`pip install darts[torch] neuralforecast`, best in a
separate environment: they are no dependency of this project), on as many windows, variables, bars and symbols as case a
of benchmarks/train.py: 2 symbols of 30,000 bars, 12 reals of which 4 are known in advance, 64 windows a step, one
thread. Their targets differ, so only the pace can be compared; the numbers are random, which does not change it.
"""

import argparse
import importlib.util
import logging
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

SYMBOLS, BARS, WINDOWS, STEPS = 2, 30_000, 64, 40
PAST, KNOWN = [f"past{number}" for number in range(8)], [f"known{number}" for number in range(4)]
QUANTILES = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]


def frames() -> list[pd.DataFrame]:
    """A frame a symbol: `ds, y`, and the reals; random numbers."""
    draw = np.random.default_rng(1)
    times = pd.date_range("2024-01-01", periods=BARS, freq="min")
    return [
        pd.DataFrame(draw.normal(size=(BARS, 13)).astype(np.float32), columns=["y", *PAST, *KNOWN]).assign(ds=times)
        for _ in range(SYMBOLS)
    ]


def pace(train: Callable[[int], Any]) -> float:
    """Steps a second: the difference between a long and a short training, so that what comes before does not count."""
    seconds = []
    for steps in (STEPS // 4, STEPS):
        begun = time.perf_counter()
        train(steps)
        seconds.append(time.perf_counter() - begun)
    return (STEPS - STEPS // 4) / (seconds[1] - seconds[0])


def darts(sizes: argparse.Namespace) -> float:
    """Steps a second of darts' TFTModel."""
    from darts import TimeSeries
    from darts.models import TFTModel
    from darts.utils.likelihood_models.torch import QuantileRegression

    def series(columns: list[str]) -> list[TimeSeries]:
        return [TimeSeries.from_dataframe(frame, "ds", columns) for frame in frames()]

    target, past, known = series(["y"]), series(PAST), series(KNOWN)

    def train(steps: int) -> None:
        model = TFTModel(
            input_chunk_length=sizes.lookback, output_chunk_length=sizes.horizon, hidden_size=sizes.hidden,
            hidden_continuous_size=8, num_attention_heads=4, dropout=0.2, batch_size=WINDOWS, n_epochs=1,
            random_state=1, likelihood=QuantileRegression(QUANTILES),
            pl_trainer_kwargs={"accelerator": "cpu", "limit_train_batches": steps, "enable_progress_bar": False,
                               "enable_model_summary": False},
        )  # fmt: skip
        model.fit(target, past_covariates=past, future_covariates=known)

    return pace(train)


def neuralforecast(sizes: argparse.Namespace) -> float:
    """Steps a second of neuralforecast's TFT: a window batch a step, as many windows as elsewhere."""
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss
    from neuralforecast.models import TFT

    data = pd.concat([frame.assign(unique_id=str(number)) for number, frame in enumerate(frames())])

    def train(steps: int) -> None:
        model = TFT(
            h=sizes.horizon, input_size=sizes.lookback, hidden_size=sizes.hidden, n_head=4, dropout=0.2,
            hist_exog_list=PAST, futr_exog_list=KNOWN, loss=MQLoss(quantiles=QUANTILES), max_steps=steps,
            batch_size=SYMBOLS, windows_batch_size=WINDOWS, random_seed=1, accelerator="cpu",
            enable_progress_bar=False, enable_model_summary=False, logger=False, enable_checkpointing=False,
        )  # fmt: skip
        NeuralForecast([model], freq="min").fit(data)

    return pace(train)


def main() -> None:
    """A line a library."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lookback", type=int, default=168)
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=16)
    sizes = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)
    print("library         steps/s  windows/s", flush=True)
    for name, measured in (("darts", darts), ("neuralforecast", neuralforecast)):
        if importlib.util.find_spec(name) is None:
            print(f"{name:14s}  not installed", flush=True)
            continue
        steps = measured(sizes)
        print(f"{name:14s}{steps:9.1f}{steps * WINDOWS:11.0f}", flush=True)


if __name__ == "__main__":
    main()
