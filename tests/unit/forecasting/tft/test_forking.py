"""The forking forward is pytorch-forecasting's TFT: its outputs, its gradients; an origin sees only its past."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_forecasting import QuantileLoss, TemporalFusionTransformer

from forecasting.folds import Fold, FoldScheme
from forecasting.task import Task
from forecasting.tft import forking
from forecasting.tft.datasets import (
    AllWindows,
    RandomChunks,
    TrainingOrigins,
    grouped,
    last_of_segment,
    thinned,
    training_windows,
)
from forecasting.tft.panel import HALF, Panel, fit_scaler
from market.features import compute_features
from market.intervals import MINUTE
from support.candles import candles

LOOKBACK, HORIZON, STRIDE, FORKS, CHUNKS = 12, 5, 4, 3, 6
TASK = Task("1m", LOOKBACK, HORIZON, [0.1, 0.5, 0.9])
PAST, KNOWN = ["a", "b", "c"], ["c", "position"]
# one hidden width equal to the variables': then nothing is resampled
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "static": {
        "static_reals": ["size"],
        "static_categoricals": ["symbol"],
        "x_categoricals": ["symbol"],
        "embedding_sizes": {"symbol": (3, 4)},
    },
    "two layers": {"lstm_layers": 2, "attention_head_size": 1},
    "same width": {"hidden_continuous_size": 8},
    "one known variable": {"time_varying_reals_decoder": ["position"]},
    "attention ahead": {"causal_attention": False},
}


def network_of(shape: str) -> TemporalFusionTransformer:
    torch.manual_seed(4)
    common: dict[str, Any] = {
        "x_reals": [*PAST, "position", "size"] if shape == "static" else [*PAST, "position"],
        "time_varying_reals_encoder": PAST,
        "time_varying_reals_decoder": KNOWN,
        "max_encoder_length": LOOKBACK,
        "output_size": 3,
        "hidden_size": 8,
        "hidden_continuous_size": 4,
        "attention_head_size": 2,
        "dropout": 0.3,
    }
    return TemporalFusionTransformer(
        **(common | SHAPES[shape]),
        loss=QuantileLoss([0.1, 0.5, 0.9]),
        logging_metrics=torch.nn.ModuleList(),
        output_transformer=lambda out: out["prediction"],
    ).eval()


def inputs_of(network: TemporalFusionTransformer) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Random bars, known inputs, and raw static inputs, of chunks of several symbols."""
    draw = torch.Generator().manual_seed(9)
    bars = torch.randn(CHUNKS, LOOKBACK + (FORKS - 1) * STRIDE, len(PAST), generator=draw)
    known = torch.randn(CHUNKS, FORKS, HORIZON, len(network.decoder_variables), generator=draw)
    static = {"symbol": torch.arange(CHUNKS) % 3, "size": torch.randn(CHUNKS, generator=draw)}
    return bars, known, static if network.static_variables else {}


def embedded(network: TemporalFusionTransformer, static: dict[str, torch.Tensor]) -> dict[str, torch.Tensor] | None:
    if not static:
        return None
    return {**network.input_embeddings(static["symbol"].unsqueeze(-1)), "size": static["size"].unsqueeze(-1)}


def stock(
    network: TemporalFusionTransformer, bars: torch.Tensor, known: torch.Tensor, static: dict[str, torch.Tensor]
) -> torch.Tensor:
    """The library's forward on windows: bars [n, lookback, past], known [n, horizon, known]."""
    count, reals = len(bars), list(network.hparams.x_reals)
    cont = torch.zeros(count, LOOKBACK + HORIZON, len(reals))
    cont[:, :LOOKBACK, : len(PAST)] = bars
    for place, name in enumerate(network.decoder_variables):
        cont[:, LOOKBACK:, reals.index(name)] = known[..., place]
    cat = torch.zeros(count, LOOKBACK + HORIZON, 0, dtype=torch.long)
    if static:
        cont[..., reals.index("size")] = static["size"].unsqueeze(-1)
        cat = static["symbol"].view(-1, 1, 1).expand(-1, LOOKBACK + HORIZON, 1)
    x = {"encoder_lengths": torch.full((count,), LOOKBACK), "decoder_lengths": torch.full((count,), HORIZON)}
    for name, values in (("cont", cont), ("cat", cat)):
        x |= {f"encoder_{name}": values[:, :LOOKBACK], f"decoder_{name}": values[:, LOOKBACK:]}
    return network(x | {"target_scale": torch.ones(count, 2)})["prediction"]


def gradients(network: TemporalFusionTransformer, output: torch.Tensor) -> dict[str, torch.Tensor]:
    network.zero_grad()
    output.pow(2).sum().backward()
    return {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("forks", [1, FORKS])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_origin_is_the_library_s(shape: str, forks: int) -> None:
    network = network_of(shape)
    bars, known, static = inputs_of(network)
    chunk = bars[:, : LOOKBACK + (forks - 1) * STRIDE], known[:, :forks]
    forked = forking.forecast(network, *chunk, embedded(network, static))
    library = stock(network, bars[:, :LOOKBACK], known[:, 0], static)
    assert forked.shape == (CHUNKS, forks, HORIZON, 3)
    torch.testing.assert_close(forked[:, 0], library, rtol=0, atol=1e-5)
    ours, expected = gradients(network, forked[:, 0]), gradients(network, library)
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max() + 1))


def test_a_later_origin_is_the_library_s_but_for_the_lstm_s_earlier_bars() -> None:
    """With an LSTM that forgets at once, every fork is the library's forecast of that window."""
    network = network_of("plain")
    with torch.no_grad():
        # the forget gate is the second quarter of the biases
        network.lstm_encoder.bias_ih_l0[8:16] = -1e4
        network.lstm_encoder.weight_hh_l0.zero_()
    bars, known, static = inputs_of(network)
    forked = forking.forecast(network, bars, known)
    for fork in range(FORKS):
        window = bars[:, fork * STRIDE : fork * STRIDE + LOOKBACK]
        torch.testing.assert_close(forked[:, fork], stock(network, window, known[:, fork], static), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", ["plain", "static"])
def test_an_origin_sees_nothing_after_it_and_no_other_chunk(shape: str) -> None:
    network = network_of(shape)
    bars, known, static = inputs_of(network)
    before = forking.forecast(network, bars, known, embedded(network, static))
    for fork in range(FORKS):
        other = bars.clone(), known.clone()
        other[0][0, LOOKBACK + fork * STRIDE :] = 5.0
        other[0][1:] = -3.0
        other[1][0, fork + 1 :] = 2.0
        other[1][1:] = 1.0
        after = forking.forecast(network, *other, embedded(network, static))
        torch.testing.assert_close(after[0, : fork + 1], before[0, : fork + 1], rtol=0, atol=1e-6)
        assert (after[1:] - before[1:]).abs().max() > 1e-3
        if fork + 1 < FORKS:
            assert (after[0, fork + 1 :] - before[0, fork + 1 :]).abs().max() > 1e-3


@pytest.mark.parametrize("shape", ["plain", "attention ahead"])
def test_some_steps_are_what_all_of_them_would_be(shape: str) -> None:
    network = network_of(shape)
    bars, known, _ = inputs_of(network)
    steps = torch.tensor([1, 4])
    some, every = (forking.forecast(network, bars, known, steps=wanted) for wanted in (steps, None))
    torch.testing.assert_close(some, every[:, :, steps], rtol=0, atol=1e-6)


def test_values_that_are_looked_up_are_what_they_would_be_alone() -> None:
    network = network_of("plain")
    draw = torch.Generator().manual_seed(3)
    resolution = torch.tensor([1 / 32, 1 / 256, 1 / 16])
    bars = torch.randint(-HALF, HALF + 1, (120, LOOKBACK, len(PAST)), generator=draw) * resolution
    known = torch.randint(-HALF, HALF + 1, (120, 1, HORIZON, 2), generator=draw) * resolution[:2]
    assert min(bars[..., 0].numel(), known[..., 0].numel()) > 2 * HALF + 1
    looked_up, alone = (
        forking.forecast(network, bars, known, resolutions=given)
        for given in ((resolution, resolution[:2]), (None, None))
    )
    torch.testing.assert_close(looked_up, alone, rtol=0, atol=1e-5)
    ours, expected = gradients(network, looked_up), gradients(network, alone)
    for name, gradient in expected.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max() + 1))


def test_dropout_drops_in_training_alone() -> None:
    network = network_of("plain")
    bars, known, _ = inputs_of(network)
    assert torch.equal(forking.forecast(network, bars, known), forking.forecast(network, bars, known))
    network.train()
    assert not torch.equal(forking.forecast(network, bars, known), forking.forecast(network, bars, known))


def test_the_library_interprets_it() -> None:
    network = network_of("plain")
    bars, known, _ = inputs_of(network)
    cont = torch.cat([bars[:, :LOOKBACK], torch.zeros(CHUNKS, LOOKBACK, 1)], dim=-1)
    ahead = torch.cat([torch.zeros(CHUNKS, HORIZON, 2), known[:, 0]], dim=-1)
    sizes = {"encoder": LOOKBACK, "decoder": HORIZON}
    none = {f"{kind}_cat": torch.zeros(CHUNKS, size, 0, dtype=torch.long) for kind, size in sizes.items()}
    lengths = {"encoder_lengths": torch.full((CHUNKS,), LOOKBACK), "decoder_lengths": torch.full((CHUNKS,), HORIZON)}
    x = {"encoder_cont": cont, "decoder_cont": ahead, "target_scale": torch.ones(CHUNKS, 2), **none, **lengths}
    shares = network.interpret_output(network(x), reduction="sum")
    assert shares["encoder_variables"].shape == (len(PAST),)
    assert torch.isclose(shares["encoder_variables"].sum(), torch.tensor(float(CHUNKS)), rtol=1e-4)


@pytest.fixture(scope="module")
def gapped() -> list[pd.DataFrame]:
    """Two symbols, the first with bars missing in its middle."""
    one, two = candles(900, seed=1), candles(700, seed=2)
    one = one[(one.index < 400) | (one.index >= 430)].reset_index(drop=True)
    return [compute_features(frame, None, [5, 30], MINUTE) for frame in (one, two)]


def cut(frames: list[pd.DataFrame], fraction: float) -> TrainingOrigins:
    """Up to shortly before the second symbol's end, the last `fraction` of it to validate."""
    end, first = int(frames[1]["timestamp"].iloc[-50]), min(int(frame["timestamp"].iloc[0]) for frame in frames)
    validation = FoldScheme(1, 1, 0, fraction).validation(Fold("0", end, end, end), first, MINUTE)
    return training_windows(frames, validation, TASK)


def test_no_chunk_that_counts_crosses_a_gap_or_the_span_s_end(gapped: list[pd.DataFrame]) -> None:
    panel = Panel(gapped, fit_scaler(gapped), TASK)
    parts = cut(gapped, 0.2)
    settings = {"batch_size": 32, "forks": 8, "stride": 5, "loss_steps": 3, "steps_per_epoch": 40}
    source = RandomChunks(panel, parts.fit, settings, seed=1)
    seen, drawn = set(), set()
    for index in range(len(source)):
        origins, used, steps = source.draw(index)
        drawn |= set(steps)
        assert len(set(steps)) == 3
        assert used[:, 0].all()
        for chunk, counts in zip(origins, used, strict=True):
            last = chunk[counts][-1]
            times = panel.timestamp[chunk[0] - LOOKBACK + 1 : last + HORIZON + 1]
            assert (np.diff(times) == MINUTE).all()
            assert times[-1] < parts.fit_end
            seen |= set(chunk[counts])
    assert seen <= set(parts.fit)
    assert drawn == set(range(HORIZON))
    assert len(seen) > 0.9 * len(parts.fit)


def test_a_batch_is_drawn_from_all_times_and_symbols(gapped: list[pd.DataFrame]) -> None:
    panel = Panel(gapped, fit_scaler(gapped), TASK)
    origins = cut(gapped, 0.2).fit
    source = RandomChunks(
        panel, origins, {"batch_size": 8, "forks": 2, "stride": 5, "loss_steps": 2, "steps_per_epoch": 9}, seed=3
    )
    for index in range(len(source)):
        first = np.searchsorted(origins, source.draw(index)[0][:, 0])
        assert (first * 4 // len(origins) == np.arange(4)).all()


def test_validation_holds_every_window_once(gapped: list[pd.DataFrame]) -> None:
    panel = Panel(gapped, fit_scaler(gapped), TASK)
    origins = cut(gapped, 0.4).validation
    windows = AllWindows(panel, origins, size=5, forks=4)
    found = [grid[used] for grid, used in windows.groups]
    assert np.concatenate(found).tolist() == origins.tolist()
    assert sum(float(windows[index].used.sum()) for index in range(len(windows))) == len(origins)


def test_origins_are_grouped_where_they_follow_evenly() -> None:
    starts = np.array([0, 100, 200])
    origins = np.array([10, 13, 16, 19, 30, 33, 60, 99, 102, 105])
    grid, used = grouped(origins, starts, lookback=5, most=3)
    assert [chunk[counts].tolist() for chunk, counts in zip(grid, used, strict=True)] == [
        [10, 13, 16], [19], [30, 33], [60], [99], [102, 105],
    ]  # fmt: skip
    # further apart than a lookback, what lies between may have a gap: nothing is shared
    assert grouped(origins, starts, lookback=2, most=3)[0].shape == (len(origins), 1)
    assert grouped(np.array([7]), starts, lookback=5, most=3)[0].tolist() == [[7]]


def test_the_last_origin_of_each_segment_is_found() -> None:
    assert last_of_segment(np.array([3, 4, 5, 9, 10, 20])).tolist() == [5, 5, 5, 10, 10, 20]


def test_thinned_is_even() -> None:
    assert thinned(np.arange(10), 4).tolist() == [0, 3, 6, 9]
    assert thinned(np.arange(4), 4).tolist() == [0, 1, 2, 3]
    assert thinned(np.arange(0), 4).tolist() == []
