"""The TFT as a correction: it starts at no correction, learns what the HAR cannot, and else stays at the start."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from common.errors import UserError
from common.files import read_parquet, write_parquet
from forecasting.bars import Bars
from forecasting.baselines.interface import BaselineSettings
from forecasting.folds import FoldScheme
from forecasting.losses import pinball
from forecasting.members import MEMBERS, RANDOM_WALK, TFT
from forecasting.quantiles import read_forecasts
from forecasting.realised import log_closes, realised_of
from forecasting.split import FoldFiles, Split
from forecasting.task import Task
from forecasting.tft import checkpoint, correction, training
from forecasting.tft.datasets import AllWindows
from forecasting.tft.network import build_network, hyperparameters, init_output_bias
from forecasting.tft.panel import Panel, feature_columns, fit_scaler
from market.candles import read_candles
from market.intervals import MINUTE
from predict_baselines import predict_baselines
from predict_tft import predict_tft, trimmed
from support.markets import START, candles, poisoned, write_cutoff, write_symbols
from train_tft import train_tft

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
LOOKBACK, HORIZON = 8, 8
TASK = Task("1m", LOOKBACK, HORIZON, LEVELS)
# B starts late: its HAR has one scale fewer than A's
ROWS, LATE, TESTED = 2600, 1200, 300
SCHEME = FoldScheme(count=1, test_bars=TESTED, embargo=HORIZON, validation_fraction=0.2)
(BASE,) = MEMBERS[TFT].needs
SETTINGS: dict[str, Any] = {
    "epochs": 4,
    "steps_per_epoch": 25,
    "batch_size": 64,
    "forks": 4,
    "stride": 8,
    "loss_steps": 8,
    "ema_decay": 0.9,
    "learning_rate": 0.02,
    "hidden_size": 8,
    "hidden_continuous_size": 4,
    "attention_heads": 2,
    "lstm_layers": 1,
    "dropout": 0.0,
    "gradient_clip": 1.0,
    "patience": 4,
    "device": "cpu",
}


KINDS = ("validation", "output")


@dataclass(frozen=True)
class World:
    """A market on disk, with the forecasts that are corrected."""

    folder: Path
    paths: dict[str, list[str]]
    cutoff: str

    def bars(self) -> list[Bars]:
        return [Bars.of(read_candles(path, "1m"), MINUTE) for path in self.paths["candles"]]

    def frames(self) -> list[pd.DataFrame]:
        return [read_parquet(path) for path in self.paths["features"]]

    def base(self, kind: str = "output") -> str:
        return str(self.folder / kind / f"{BASE}.parquet")

    def files(self) -> FoldFiles:
        features, candles = self.paths["features"], self.paths["candles"]
        return FoldFiles("0", features, features, candles, [], self.cutoff, self.cutoff)

    def forecast_base(self) -> None:
        """Write the forecasts that are corrected."""
        paths = [{name: str(self.folder / kind / f"{name}.parquet") for name in (RANDOM_WALK, BASE)} for kind in KINDS]
        settings = BaselineSettings(ewma_halflife=30, drift_halflife=30, refit_bars=None)
        predict_baselines(paths[1], paths[0], self.files(), TASK, SCHEME, 4, settings)

    def train(self, **changed: Any) -> str:
        """A trained checkpoint."""
        model = str(self.folder / "tft-seed1.ckpt")
        train_tft(
            output=model,
            curve=str(self.folder / "metrics.csv"),
            features=self.paths["features"],
            candles=self.paths["candles"],
            cutoff=self.cutoff,
            member=TFT,
            corrects=True,
            fold="0",
            seed=1,
            task=TASK,
            scheme=SCHEME,
            settings=SETTINGS | changed,
            threads=1,
        )
        return model

    def predict(self, models: list[str], base: list[str] | None = None) -> list[str]:
        """The files of the forecasts, in validation and in test."""
        written = [str(self.folder / kind / "tft.parquet") for kind in KINDS]
        given = base or [self.base(kind) for kind in KINDS]
        predict_tft(written[1], written[0], models, given, self.files(), TASK, SCHEME, stride=4, threads=1)
        return written


def build(folder: Path, strength: float) -> World:
    """Volatility jumps every ten bars, by the toss of a coin, and the feature `news` predicts it a horizon ahead."""
    coins = np.random.default_rng(1).choice([-1.0, 1.0], ROWS // 10 + 2)
    state = np.repeat(coins, 10)
    news = np.convolve(state, np.ones(HORIZON) / HORIZON, "valid")[1 : ROWS + 1]
    timestamp = START + MINUTE * np.arange(ROWS)
    frames = {
        name: candles(timestamp[first:], 1e-3 * np.exp(strength * state[first:ROWS]), seed)
        for name, first, seed in (("A", 0, 1), ("B", LATE, 2))
    }
    paths = write_symbols(folder, frames)
    for path in paths["features"]:
        frame = read_parquet(path)
        at = (frame["timestamp"].to_numpy() - START) // MINUTE
        write_parquet(path, frame.assign(news=news[at].astype(np.float32)))
    world = World(folder, paths, write_cutoff(folder, START + ROWS * MINUTE))
    world.forecast_base()
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("market"), strength=1.2)


FIT_END = START + MINUTE * 1834


@pytest.fixture(scope="module")
def corrected(world: World) -> tuple[list[pd.DataFrame], correction.Base]:
    """Features with the HARs' inputs, and the base, as training has them."""
    bars = world.bars()
    hars = correction.fit_hars("AB", bars, FIT_END, HORIZON)
    frames = correction.with_har_inputs(world.frames(), bars, hars)
    return frames, correction.fit_base(hars, bars, frames, FIT_END, LEVELS)


def saved(world: World, frames: list[pd.DataFrame], outputs: list[float], name: str) -> str:
    """The checkpoint of an untrained network with these outputs everywhere."""
    names = feature_columns(frames[0])
    hyper = hyperparameters(names, len(LEVELS) + 1, SETTINGS, LOOKBACK)
    network = build_network(hyper, LEVELS)
    init_output_bias(network, np.zeros(len(LEVELS) + 1), weight=0.0)
    with torch.no_grad():
        network.output_layer.bias.copy_(torch.tensor(outputs))
    path = str(world.folder / name)
    checkpoint.save(path, checkpoint.TrainedModel(network, fit_scaler(frames), names, LEVELS, {}), hyper)
    return path


def quantiles(path: str) -> np.ndarray:
    return read_forecasts(path, HORIZON, LEVELS).quantiles


def test_the_factor_by_hand() -> None:
    outputs = torch.tensor([[0.0, 0.0, 0.0], [0.1, 1.0, -50.0], [-0.5, 0.0, 50.0]])
    expected = [[1, 1], [np.exp(0.1 + 0.2 * np.tanh(1.0)), np.exp(0.1 - 0.2)], [np.exp(-0.5), np.exp(-0.5 + 0.2)]]
    np.testing.assert_allclose(correction.correction_factor(outputs).numpy(), expected, rtol=1e-6)


def test_without_a_correction_the_forecast_is_exactly_the_base(
    world: World, corrected: tuple[list[pd.DataFrame], correction.Base]
) -> None:
    fresh = saved(world, corrected[0], [0.0] * 6, "fresh.ckpt")
    for kind, path in zip(KINDS, world.predict([fresh, fresh]), strict=True):
        base = world.base(kind)
        assert len(quantiles(base)) > 50
        pd.testing.assert_frame_equal(read_parquet(path), read_parquet(base), check_exact=True)


def test_what_comes_after_an_origin_changes_no_byte_of_its_correction(world: World, tmp_path: Path) -> None:
    frames_of = {name: read_candles(path, "1m") for name, path in zip("AB", world.paths["candles"], strict=True)}
    # an origin: the bar after it is another
    last, tables = START + MINUTE * (ROWS - TESTED + 37 * 4), []
    spoilt_frames = {name: poisoned(frame, last) for name, frame in frames_of.items()}
    for folder, given in (("clean", frames_of), ("spoilt", spoilt_frames)):
        made = World(tmp_path / folder, write_symbols(tmp_path / folder, given), world.cutoff)
        made.forecast_base()
        bars = made.bars()
        frames = correction.with_har_inputs(made.frames(), bars, correction.fit_hars("AB", bars, FIT_END, HORIZON))
        names = feature_columns(frames[0])
        hyper = hyperparameters(names, len(LEVELS) + 1, SETTINGS, LOOKBACK)
        # its outputs differ from origin to origin
        torch.manual_seed(1)
        network = build_network(hyper, LEVELS)
        scaler = fit_scaler([frame[frame["timestamp"] < FIT_END] for frame in frames])
        path = str(made.folder / "tft-seed1.ckpt")
        checkpoint.save(path, checkpoint.TrainedModel(network, scaler, names, LEVELS, {}), hyper)
        tables.append([read_parquet(path) for path in (*made.predict([path]), made.base())])
    (before, clean, base), (after, spoilt, _) = tables
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    early = clean["origin"] <= last
    assert (clean["origin"] == last).any() and not early.all()
    pd.testing.assert_frame_equal(clean[early], spoilt[early], check_exact=True)
    assert (clean.loc[~early, "q0.95"] != spoilt.loc[~early, "q0.95"]).all()
    assert len(np.unique(np.round(clean["q0.95"] / base["q0.95"], 6))) > 0.9 * len(clean)


def test_rows_far_from_every_origin_are_left_out(
    world: World, corrected: tuple[list[pd.DataFrame], correction.Base]
) -> None:
    frames, bars = corrected[0], world.bars()
    rows = [np.array([700, 720, 760]), np.empty(0, dtype=np.int64)]
    split = Split("0", FIT_END, ["A", "B"], bars, bars, frames, rows)
    kept = trimmed(split, LOOKBACK)
    assert [len(frame) for frame in kept.features] == [LOOKBACK + 60, 0]
    for one, two in zip(split.origins, kept.origins, strict=True):
        np.testing.assert_array_equal(one, two)


def test_seeds_factors_are_averaged(world: World, corrected: tuple[list[pd.DataFrame], correction.Base]) -> None:
    # mirror images: the quantiles stay in order
    outputs = [[0.2, -1.0, -0.5, 3.0, -0.5, -1.0], [-0.1, 0.3, 0.0, 0.0, 0.0, 0.3]]
    models = [saved(world, corrected[0], output, f"{place}.ckpt") for place, output in enumerate(outputs)]
    factors = [np.exp(output[0] + 0.2 * np.tanh(output[1:])) for output in outputs]
    found = quantiles(world.predict(models)[1])
    np.testing.assert_allclose(found, quantiles(world.base()) * np.mean(factors, axis=0), rtol=1e-6)
    assert (found[..., 2] == 0).all()


def test_what_training_corrects_is_the_har_of_each_symbol(
    world: World, corrected: tuple[list[pd.DataFrame], correction.Base]
) -> None:
    (frames, base), bars = corrected, world.bars()
    assert [len(har.scales) for har in base.hars] == [5, 4]
    # the input of the scale that B lacks is empty, and its other regressors stand where A's do
    assert (frames[1]["har_4"] == 0).all()
    others = base.hars[1].regressors(bars[1])[-len(frames[1]) :, 4:]
    np.testing.assert_allclose(frames[1][[f"har_{place}" for place in range(5, 17)]], others, rtol=1e-5, atol=1e-6)
    panel = Panel(frames, fit_scaler(frames), TASK, symbols=["A", "B"], base=base)
    origins = np.array([700, 900, panel.starts[1] + 100, panel.starts[1] + 150])
    deviation = panel.deviation(origins)
    network, losses = build_network(hyperparameters(feature_columns(frames[0]), 6, SETTINGS, LOOKBACK), LEVELS), []
    init_output_bias(network, np.zeros(6), weight=0.0)
    for symbol, symbol_bars in enumerate(bars):
        mask = panel.symbol(origins) == symbol
        times = panel.timestamp[origins[mask]]
        rows, har = np.searchsorted(symbol_bars.timestamp, times), base.hars[symbol]
        expected = har.deviation_from(har.regressors(symbol_bars)[rows], times, MINUTE)
        np.testing.assert_allclose(deviation[mask], expected, rtol=1e-5)
        # the loss at the start is the pinball loss of the base's forecasts, in units of a bar's deviation
        forecast = expected[..., None] * base.quantiles[symbol]
        bar_deviation = np.sqrt(symbol_bars.before(FIT_END).variance.mean())
        loss = pinball(symbol_bars.paths(rows, HORIZON), forecast, LEVELS).mean(axis=(1, 2))
        losses.append(loss / bar_deviation)
    chunks = panel.chunks(origins[:, None], np.ones((4, 1), dtype=bool))
    with torch.no_grad():
        found = network.eval().losses(chunks)[:, 0].numpy()
    np.testing.assert_allclose(found, np.concatenate(losses), rtol=1e-4)


def test_a_correction_of_what_the_har_cannot_see_is_kept(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    model = world.train()
    assert "better in validation than at the start: kept" in capsys.readouterr().err
    written = world.predict([model])
    closes = log_closes(world.paths["candles"])
    for kind, path in zip(KINDS, written, strict=True):
        forecasts = read_forecasts(path, HORIZON, LEVELS)
        realised = realised_of(forecasts, closes, MINUTE)
        corrected, base = (
            pinball(realised, part, LEVELS).mean() for part in (forecasts.quantiles, quantiles(world.base(kind)))
        )
        assert corrected < 0.985 * base
        assert (forecasts.quantiles[..., 2] == 0).all()
    trained = checkpoint.load(model)
    assert (trained.metadata["member"], trained.metadata["fit_end"]) == ("tft", FIT_END)
    assert trained.features[-17:] == [f"har_{place}" for place in range(17)]
    # a checkpoint that is read and written again gives the same forecasts
    again = str(world.folder / "again.ckpt")
    checkpoint.save(again, trained, torch.load(model, weights_only=True)["hyper_parameters"])
    before = [Path(path).read_bytes() for path in written]
    assert before == [Path(path).read_bytes() for path in world.predict([again])]


def test_where_there_is_nothing_to_learn_the_start_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = build(tmp_path, strength=0.0)
    # so high a rate learns noise
    model = world.train(learning_rate=0.1, epochs=1, steps_per_epoch=15, ema_decay=0.0)
    assert "not significant, the start is kept" in capsys.readouterr().err
    for kind, path in zip(KINDS, world.predict([model]), strict=True):
        np.testing.assert_array_equal(quantiles(path), quantiles(world.base(kind)))


def test_the_standard_error_of_a_gain(world: World) -> None:
    frames = world.frames()
    panel = Panel(frames, fit_scaler(frames), TASK)
    apart = np.arange(1000, 2200, HORIZON)
    random = np.random.default_rng(2)
    alone = AllWindows(panel, apart)
    before, noise = 2 + random.random(len(apart)), 0.1 * random.standard_normal(len(apart))
    gain, error = training._gain(before, before - 0.05 - noise, alone)
    assert gain == pytest.approx((0.05 + noise.mean()) / before.mean())
    assert error == pytest.approx(noise.std() / np.sqrt(len(apart)) / before.mean(), rel=0.25)
    # a second symbol with the same losses adds no certainty
    shift = int(panel.starts[1]) - int(
        np.searchsorted(panel.timestamp[: panel.starts[1]], panel.timestamp[panel.starts[1]])
    )
    late = apart[apart + shift >= panel.starts[1]]
    both = AllWindows(panel, np.concatenate([late, late + shift]))
    twice = np.tile(noise[-len(late) :], 2)
    single, double = (
        training._gain(np.ones(len(part)), 1 - part, windows)[1]
        for part, windows in ((twice[: len(late)], AllWindows(panel, late)), (twice, both))
    )
    assert double == pytest.approx(single)


def test_a_base_without_an_origin_is_refused(
    world: World, corrected: tuple[list[pd.DataFrame], correction.Base], tmp_path: Path
) -> None:
    fresh = saved(world, corrected[0], [0.0] * 6, "fresh.ckpt")
    part = str(tmp_path / "lhar_fhs.parquet")
    write_parquet(part, read_parquet(world.base()).iloc[:-HORIZON])
    message = r"^\S+/lhar_fhs\.parquet: lacks origins of the forecasts that correct it; delete it and run again$"
    with pytest.raises(UserError, match=message):
        world.predict([fresh], [world.base("validation"), part])


def test_with_a_symbol_too_short_for_a_har_it_is_skipped_and_logged(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = world.bars()[0].timestamp[1834 - 100]
    frames = {name: read_candles(path, "1m") for name, path in zip("AB", world.paths["candles"], strict=True)}
    frames["B"] = frames["B"][frames["B"]["timestamp"] >= start].reset_index(drop=True)
    short = World(tmp_path, write_symbols(tmp_path, frames), world.cutoff)
    short.forecast_base()
    capsys.readouterr()
    model = short.train()
    assert pd.read_csv(tmp_path / "metrics.csv").columns.tolist() == ["epoch", "train_loss", "val_loss"]
    for path in short.predict([model]):
        assert len(read_forecasts(path, HORIZON, LEVELS).origin) == 0
    why = r"insufficient history: B before \S+Z: 11 non-overlapping windows of 8 bars, 20 needed; "
    why += "increase days, or remove it from symbols"
    trained, predicted = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"train tft fold 0 seed 1: skipped \({why}\)", trained)
    assert re.fullmatch(rf"predict_tft: fold 0 skipped \({why}\)", predicted)
    with pytest.raises(UserError, match=rf"^\S+/tft-seed1\.ckpt: holds no model, training was skipped \({why}\)$"):
        checkpoint.load(model)
