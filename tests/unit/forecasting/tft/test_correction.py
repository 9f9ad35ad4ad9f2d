"""The TFT as a correction: it begins as what it corrects, learns what that cannot see, else stays where it began."""

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
from forecasting.losses import pinball
from forecasting.members import BASE, RANDOM_WALK
from forecasting.quantiles import read_forecasts
from forecasting.realised import log_closes, realised_returns
from forecasting.tft import checkpoint, correction, training
from forecasting.tft import network as tft
from forecasting.tft.panel import Panel, feature_columns, fit_scaler
from market.candles import read_candles
from market.intervals import MINUTE
from predict_baselines import predict_baselines
from predict_tft import predict_tft
from support.markets import START, candles, poisoned, write_cutoff, write_symbols
from train_tft import train_tft

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
LOOKBACK, HORIZON = 8, 8
# B begins late: its HAR has a scale less than A's
ROWS, LATE, TESTED = 2600, 1200, 300
FOLDS = {"count": 1, "test_bars": TESTED, "embargo": HORIZON}
SHARED: dict[str, Any] = {
    "interval": "1m",
    "lookback": LOOKBACK,
    "horizon": HORIZON,
    "quantile_levels": LEVELS,
    "folds": FOLDS,
    "fold": "0",
}
MODEL: dict[str, Any] = {
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


@dataclass(frozen=True)
class World:
    """A market on disk, with the forecasts that are corrected; `end` is where the fitting ends."""

    folder: Path
    paths: dict[str, list[str]]
    cutoff: str

    def bars(self) -> list[Bars]:
        return [Bars.of(read_candles(path, "1m"), MINUTE) for path in self.paths["candles"]]

    def frames(self) -> list[pd.DataFrame]:
        return [read_parquet(path) for path in self.paths["features"]]

    def base(self, kind: str = "output") -> str:
        return str(self.folder / kind / f"{BASE}.parquet")

    def forecast_base(self) -> None:
        """Write the forecasts that are corrected."""
        members = {
            kind: {name: str(self.folder / kind / f"{name}.parquet") for name in (RANDOM_WALK, BASE)}
            for kind in ("output", "validation")
        }
        predict_baselines(
            output=members["output"],
            validation=members["validation"],
            train_features=self.paths["features"],
            live_candles=[],
            cutoff=self.cutoff,
            train_cutoff=self.cutoff,
            symbols=["A", "B"],
            stride=4,
            share=0.2,
            settings={"ewma_halflife": 30, "drift_halflife": 30, "refit_bars": None},
            features=self.paths["features"],
            candles=self.paths["candles"],
            **SHARED,
        )

    def train(self, **changed: Any) -> str:
        model = str(self.folder / "tft-seed1.ckpt")
        given = (
            SHARED | {"member": "tft", "seed": 1, "model": MODEL, "validation_fraction": 0.2, "threads": 1} | changed
        )
        curve = str(self.folder / "metrics.csv")
        features, candles = self.paths["features"], self.paths["candles"]
        train_tft(model, curve, features, candles, self.cutoff, **given)
        return model

    def predict(self, models: list[str], base: list[str] | None = None) -> tuple[str, str]:
        """The files of the forecasts, in test and in validation."""
        written = str(self.folder / "output" / "tft.parquet"), str(self.folder / "validation" / "tft.parquet")
        predict_tft(
            *written,
            models=models,
            train_features=self.paths["features"],
            live_candles=[],
            base=base or [self.base(), self.base("validation")],
            cutoff=self.cutoff,
            train_cutoff=self.cutoff,
            symbols=["A", "B"],
            stride=4,
            share=0.2,
            threads=1,
            features=self.paths["features"],
            candles=self.paths["candles"],
            **SHARED,
        )
        return written


def build(folder: Path, strength: float) -> World:
    """Volatility jumps every ten bars, by the sign of a coin, and the feature `news` tells it a horizon ahead."""
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
    frames = correction.with_inputs(world.frames(), bars, hars)
    return frames, correction.fit_base(hars, bars, frames, FIT_END, LEVELS)


def saved(world: World, frames: list[pd.DataFrame], said: list[float], name: str) -> str:
    """The checkpoint of an untrained network that says the same everywhere."""
    names = feature_columns(frames[0])
    hyper = tft.hyperparameters(names, len(LEVELS) + 1, MODEL, LOOKBACK)
    network = tft.build(hyper, LEVELS)
    tft.init_output_bias(network, np.zeros(len(LEVELS) + 1), weight=0.0)
    with torch.no_grad():
        network.output_layer.bias.copy_(torch.tensor(said))
    path = str(world.folder / name)
    checkpoint.save(path, checkpoint.Trained(network, fit_scaler(frames), names, LEVELS, {}), hyper)
    return path


def quantiles(path: str) -> np.ndarray:
    return read_forecasts(path, HORIZON, LEVELS).quantiles


def test_the_factor_by_hand() -> None:
    said = torch.tensor([[0.0, 0.0, 0.0], [0.1, 1.0, -50.0], [-0.5, 0.0, 50.0]])
    expected = [[1, 1], [np.exp(0.1 + 0.2 * np.tanh(1.0)), np.exp(0.1 - 0.2)], [np.exp(-0.5), np.exp(-0.5 + 0.2)]]
    np.testing.assert_allclose(correction.factor(said).numpy(), expected, rtol=1e-6)


def test_a_network_that_says_nothing_forecasts_exactly_what_it_corrects(
    world: World, corrected: tuple[list[pd.DataFrame], correction.Base]
) -> None:
    fresh = saved(world, corrected[0], [0.0] * 6, "fresh.ckpt")
    for kind, path in zip(("output", "validation"), world.predict([fresh, fresh]), strict=True):
        base = world.base(kind)
        assert len(quantiles(base)) > 50
        pd.testing.assert_frame_equal(read_parquet(path), read_parquet(base), check_exact=True)


def test_what_comes_after_an_origin_changes_no_byte_of_its_correction(world: World, tmp_path: Path) -> None:
    known = {name: read_candles(path, "1m") for name, path in zip("AB", world.paths["candles"], strict=True)}
    # an origin: the bar after it is another
    last, told = START + MINUTE * (ROWS - TESTED + 37 * 4), []
    for folder, own in (("clean", known), ("spoilt", {name: poisoned(frame, last) for name, frame in known.items()})):
        made = World(tmp_path / folder, write_symbols(tmp_path / folder, own), world.cutoff)
        made.forecast_base()
        bars = made.bars()
        frames = correction.with_inputs(made.frames(), bars, correction.fit_hars("AB", bars, FIT_END, HORIZON))
        names = feature_columns(frames[0])
        hyper = tft.hyperparameters(names, len(LEVELS) + 1, MODEL, LOOKBACK)
        # one that says something else everywhere
        torch.manual_seed(1)
        network = tft.build(hyper, LEVELS)
        scaler = fit_scaler([frame[frame["timestamp"] < FIT_END] for frame in frames])
        path = str(made.folder / "tft-seed1.ckpt")
        checkpoint.save(path, checkpoint.Trained(network, scaler, names, LEVELS, {}), hyper)
        told.append([read_parquet(path) for path in (*made.predict([path]), made.base())])
    (clean, before, base), (spoilt, after, _) = told
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    early = clean["origin"] <= last
    assert (clean["origin"] == last).any() and not early.all()
    pd.testing.assert_frame_equal(clean[early], spoilt[early], check_exact=True)
    assert (clean.loc[~early, "q0.95"] != spoilt.loc[~early, "q0.95"]).all()
    assert len(np.unique(np.round(clean["q0.95"] / base["q0.95"], 6))) > 0.9 * len(clean)


def test_seeds_factors_are_averaged(world: World, corrected: tuple[list[pd.DataFrame], correction.Base]) -> None:
    # mirror images: the quantiles stay in order
    said = [[0.2, -1.0, -0.5, 3.0, -0.5, -1.0], [-0.1, 0.3, 0.0, 0.0, 0.0, 0.3]]
    models = [saved(world, corrected[0], own, f"{place}.ckpt") for place, own in enumerate(said)]
    factors = [np.exp(own[0] + 0.2 * np.tanh(own[1:])) for own in said]
    told = quantiles(world.predict(models)[0])
    np.testing.assert_allclose(told, quantiles(world.base()) * np.mean(factors, axis=0), rtol=1e-6)
    assert (told[..., 2] == 0).all()


def test_what_training_corrects_is_the_har_of_each_symbol(
    world: World, corrected: tuple[list[pd.DataFrame], correction.Base]
) -> None:
    (frames, base), bars = corrected, world.bars()
    assert [len(har.scales) for har in base.hars] == [5, 4]
    # the input of the scale that B lacks is empty, and its shares of falls stand where A's do
    assert (frames[1]["har_4"] == 0).all()
    shares = base.hars[1].regressors(bars[1])[-len(frames[1]) :, -3:]
    np.testing.assert_allclose(frames[1][["har_5", "har_6", "har_7"]], shares, rtol=1e-5)
    panel = Panel(frames, fit_scaler(frames), MINUTE, LOOKBACK, HORIZON, symbols=["A", "B"], base=base)
    origins = np.array([700, 900, panel.starts[1] + 100, panel.starts[1] + 150])
    deviation = panel.deviation(origins)
    loss, total = tft.build(tft.hyperparameters(feature_columns(frames[0]), 6, MODEL, LOOKBACK), LEVELS), []
    tft.init_output_bias(loss, np.zeros(6), weight=0.0)
    for symbol, own in enumerate(bars):
        mine = panel.symbol(origins) == symbol
        times = panel.timestamp[origins[mine]]
        rows, har = np.searchsorted(own.timestamp, times), base.hars[symbol]
        expected = har.scale(har.regressors(own)[rows], times, MINUTE)
        np.testing.assert_allclose(deviation[mine], expected, rtol=1e-5)
        # the loss where it begins is the pinball loss of the base's forecasts, in units of a bar's deviation
        forecast = expected[..., None] * base.relative[symbol]
        unit = np.sqrt(own.before(FIT_END).variance.mean())
        total.append(pinball(own.paths(rows, HORIZON), forecast, LEVELS).mean(axis=(1, 2)) / unit)
    chunks = panel.chunks(origins[:, None], np.ones((4, 1), dtype=bool))
    with torch.no_grad():
        said = loss.eval().losses(chunks)[:, 0].numpy()
    np.testing.assert_allclose(said, np.concatenate(total), rtol=1e-4)


def test_a_correction_of_what_the_har_cannot_see_is_kept(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    model = world.train()
    assert "better in validation than where it began: kept" in capsys.readouterr().err
    written = world.predict([model])
    closes = log_closes(world.paths["candles"])
    for kind, path in zip(("output", "validation"), written, strict=True):
        told = read_forecasts(path, HORIZON, LEVELS)
        came = np.concatenate(
            [realised_returns(closes[s], told.origin[r], MINUTE, HORIZON) for s, r in told.rows().items()]
        )
        own, base = (pinball(came, said, LEVELS).mean() for said in (told.quantiles, quantiles(world.base(kind))))
        assert own < 0.985 * base
        assert (told.quantiles[..., 2] == 0).all()
    trained = checkpoint.load(model)
    assert (trained.about["member"], trained.about["fit_end"]) == ("tft", FIT_END)
    assert trained.features[-8:] == [f"har_{place}" for place in range(8)]
    # as it was read it is written again
    again = str(world.folder / "again.ckpt")
    checkpoint.save(again, trained, torch.load(model, weights_only=True)["hyper_parameters"])
    before = [Path(path).read_bytes() for path in written]
    assert before == [Path(path).read_bytes() for path in world.predict([again])]


def test_where_there_is_nothing_to_learn_the_start_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = build(tmp_path, strength=0.0)
    # so wild a rate learns noise
    model = world.train(model=MODEL | {"learning_rate": 0.1, "epochs": 1, "steps_per_epoch": 15, "ema_decay": 0.0})
    assert "that is not enough, and the start is kept" in capsys.readouterr().err
    for kind, path in zip(("output", "validation"), world.predict([model]), strict=True):
        np.testing.assert_array_equal(quantiles(path), quantiles(world.base(kind)))


def test_the_standard_error_of_a_gain(world: World) -> None:
    frames = world.frames()
    panel = Panel(frames, fit_scaler(frames), MINUTE, LOOKBACK, HORIZON)
    apart = np.arange(1000, 2200, HORIZON)
    random = np.random.default_rng(2)
    alone = training.AllWindows(panel, apart)
    before, noise = 2 + random.random(len(apart)), 0.1 * random.standard_normal(len(apart))
    gain, error = training._gain(before, before - 0.05 - noise, alone)
    assert gain == pytest.approx((0.05 + noise.mean()) / before.mean())
    assert error == pytest.approx(noise.std() / np.sqrt(len(apart)) / before.mean(), rel=0.25)
    # another symbol that always says the same makes nothing surer
    shift = int(panel.starts[1]) - int(
        np.searchsorted(panel.timestamp[: panel.starts[1]], panel.timestamp[panel.starts[1]])
    )
    late = apart[apart + shift >= panel.starts[1]]
    both = training.AllWindows(panel, np.concatenate([late, late + shift]))
    own = np.tile(noise[-len(late) :], 2)
    single, double = (
        training._gain(np.ones(len(part)), 1 - part, windows)[1]
        for part, windows in ((own[: len(late)], training.AllWindows(panel, late)), (own, both))
    )
    assert double == pytest.approx(single)


def test_a_base_without_an_origin_is_refused(
    world: World, corrected: tuple[list[pd.DataFrame], correction.Base], tmp_path: Path
) -> None:
    fresh = saved(world, corrected[0], [0.0] * 6, "fresh.ckpt")
    part = str(tmp_path / "lhar_fhs.parquet")
    write_parquet(part, read_parquet(world.base()).iloc[:-HORIZON])
    said = r"^\S+/lhar_fhs\.parquet: lacks forecasts that the TFT is to correct; delete it and run again$"
    with pytest.raises(UserError, match=said):
        world.predict([fresh], [part, world.base("validation")])


def test_with_a_symbol_too_young_for_a_har_it_sits_out_and_says_so(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    young = world.bars()[0].timestamp[1834 - 100]
    frames = {name: read_candles(path, "1m") for name, path in zip("AB", world.paths["candles"], strict=True)}
    frames["B"] = frames["B"][frames["B"]["timestamp"] >= young].reset_index(drop=True)
    short = World(tmp_path, write_symbols(tmp_path, frames), world.cutoff)
    short.forecast_base()
    capsys.readouterr()
    model = short.train()
    assert pd.read_csv(tmp_path / "metrics.csv").columns.tolist() == ["epoch", "train_loss", "val_loss"]
    for path in short.predict([model]):
        assert len(read_forecasts(path, HORIZON, LEVELS).origin) == 0
    why = r"tft: B before \S+Z: 11 windows of 8 bars, of 20 needed; give more days, or drop it from symbols"
    trained, predicted = capsys.readouterr().err.splitlines()
    assert re.fullmatch(f"train tft fold 0 seed 1: sits out: {why}", trained)
    assert re.fullmatch(f"predict_tft: fold 0 sits out: {why}", predicted)
    with pytest.raises(UserError, match=rf"^\S+/tft-seed1\.ckpt: holds no model: {why}$"):
        checkpoint.load(model)
