"""Windows hold nothing of the future; training is reproducible, also after a kill; checkpoints round-trip."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from pytorch_forecasting import QuantileLoss, TemporalFusionTransformer

from common.errors import UserError
from forecasting.tft import checkpoint, training
from forecasting.tft.datasets import AllWindows
from forecasting.tft.network import init_output_bias, predict
from forecasting.tft.panel import HALF, Panel, feature_columns, fit_scaler
from forecasting.tft.training import Run
from market import indicators
from market.features import compute_features
from market.intervals import MINUTE, iso
from support.candles import candles, others
from support.networks import (
    HORIZON,
    LEVELS,
    SETTINGS,
    SPANS,
    TASK,
    Spoil,
    cut,
    hyper_for,
    learnable,
    network_for,
    train_files,
)
from support.workflow import ROOT
from train_tft import train_tft


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    return [compute_features(c, others(c), SPANS, MINUTE) for c in (candles(1500, seed=1), candles(1500, seed=2))]


@pytest.fixture(scope="module")
def panel(frames: list[pd.DataFrame]) -> Panel:
    return Panel(frames, fit_scaler(frames), TASK)


def test_a_panel_that_consumes_its_frames_is_the_same(frames: list[pd.DataFrame]) -> None:
    taken, scaler = list(frames), fit_scaler(frames)
    one, two = Panel(frames, scaler, TASK), Panel(taken, scaler, TASK, consume=True)
    assert not taken
    assert torch.equal(one.values, two.values)
    assert one.symbols == two.symbols and np.array_equal(one.starts, two.starts)


def test_targets_are_cumulative_returns_in_units_of_the_origin_s_volatility(
    panel: Panel, frames: list[pd.DataFrame]
) -> None:
    origin = panel.starts[1] + 100
    close, volatility = frames[1]["close"].to_numpy(), frames[1]["scale"].to_numpy()
    expected = np.log(close[101 : 101 + HORIZON] / close[100]) / (volatility[100] * np.sqrt(np.arange(1, HORIZON + 1)))
    np.testing.assert_allclose(panel.targets(np.array([origin]))[0], expected, rtol=1e-5)
    back = panel.returns(np.array([origin]), panel.targets(np.array([origin]))[..., None].astype(float))
    np.testing.assert_allclose(back[0, :, 0], np.log(close[101 : 101 + HORIZON] / close[100]), rtol=1e-5, atol=1e-9)


def test_the_decoder_reads_only_calendar_and_position(panel: Panel) -> None:
    inputs = panel.windows(np.array([50, 200]))
    decoder = inputs["decoder_cont"].numpy()
    known = 1 + len(indicators.CALENDAR)
    assert (decoder[..., :-known] == 0).all()
    ahead = panel.timestamp[[50, 200]][:, None] + MINUTE * np.arange(1, HORIZON + 1)
    np.testing.assert_array_equal(
        decoder[0, :, -known:-1] * HALF, np.rint(indicators.calendar(ahead[0], MINUTE) * HALF)
    )
    np.testing.assert_allclose(decoder[1, :, -1], np.arange(1, HORIZON + 1) / HORIZON)


def test_what_comes_after_an_origin_does_not_change_its_forecast(frames: list[pd.DataFrame], panel: Panel) -> None:
    network, origin = network_for(frames), 400
    poisoned = [frame.copy() for frame in frames]
    after = poisoned[0].columns.drop(["timestamp", "segment"])
    poisoned[0].loc[origin + 1 :, after] = 3.3
    other = Panel(poisoned, fit_scaler(frames), TASK)
    at = np.array([origin])
    assert predict(network, panel, at).numpy().tobytes() == predict(network, other, at).numpy().tobytes()
    assert predict(network, panel, at + 1).numpy().tobytes() != predict(network, other, at + 1).numpy().tobytes()


def test_the_calendar_is_continuous_at_the_origin(panel: Panel) -> None:
    inputs, known = panel.windows(np.array([300])), len(indicators.CALENDAR)
    last = inputs["encoder_cont"].numpy()[0, -1, -1 - known : -1]
    first = inputs["decoder_cont"].numpy()[0, 0, -1 - known : -1]
    np.testing.assert_allclose(first, last, atol=2 * np.pi / 1440)


def test_fit_and_validation_do_not_touch(frames: list[pd.DataFrame]) -> None:
    train_end = int(frames[0]["timestamp"].iloc[-200])
    parts = cut(frames, train_end)
    times = np.concatenate([frame["timestamp"].to_numpy() for frame in frames])
    assert times[parts.fit].max() + HORIZON * MINUTE < parts.fit_end <= times[parts.validation].min()
    assert times[parts.validation].max() + HORIZON * MINUTE < train_end
    assert len(parts.fit)
    assert len(parts.validation)


def test_a_lone_origin_s_forecast_is_the_library_s(frames: list[pd.DataFrame], panel: Panel) -> None:
    """Same weights, same inputs: what we predict is what pytorch-forecasting's class predicts."""
    network = network_for(frames)
    stock = TemporalFusionTransformer(
        **hyper_for(frames),
        loss=QuantileLoss(LEVELS),
        logging_metrics=torch.nn.ModuleList(),
        output_transformer=lambda out: out["prediction"],
    )
    stock.load_state_dict(network.state_dict())
    for at in (np.array([100]), np.array([100, panel.starts[1] + 300])):
        with torch.no_grad():
            expected = stock.eval()(panel.windows(at))["prediction"].numpy()
        np.testing.assert_allclose(predict(network, panel, at).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_the_loss_is_the_weighted_pinball_loss(frames: list[pd.DataFrame], panel: Panel) -> None:
    network, origins = network_for(frames).eval(), np.array([[100], [300], [500]])
    chunks = panel.chunks(origins, np.ones_like(origins, dtype=bool))
    with torch.no_grad():
        quantiles = network(panel.windows(origins[:, 0]))["prediction"].double().numpy()
        loss = network.mean_loss(chunks).item()
    error = panel.targets(origins[:, 0])[..., None] - quantiles
    pinball = np.where(error >= 0, np.array(LEVELS) * error, (np.array(LEVELS) - 1) * error)
    expected = (pinball.mean(axis=-1) * np.sqrt(np.arange(1, HORIZON + 1))).mean()
    assert loss == pytest.approx(expected, rel=1e-5)


def test_training_learns_what_there_is_to_learn(tmp_path: Path) -> None:
    """The loss falls far below that of the targets' quantiles."""
    frames = learnable()
    panel = Panel(frames, fit_scaler(frames), TASK)
    parts = cut(frames, int(frames[0]["timestamp"].iloc[-1]))
    network = network_for(frames)
    init_output_bias(network, np.quantile(panel.targets(parts.fit), LEVELS))
    everything = AllWindows(panel, parts.validation, size=10_000)[0]
    with torch.no_grad():
        before = network.eval().mean_loss(everything).item()
    model = SETTINGS | {"epochs": 6, "steps_per_epoch": 40, "ema_decay": 0.98}
    best = training.fit(network, panel, parts, model, Run(1, "test", tmp_path)).loss
    with torch.no_grad():
        after = network.eval().mean_loss(everything).item()
    assert after == pytest.approx(best, rel=1e-3)
    assert after < 0.9 * before


@pytest.mark.parametrize("member", ["tft", "tft_raw"])
def test_the_same_training_gives_the_same_bytes_whatever_comes_after_its_span(
    frames: list[pd.DataFrame], member: str, tmp_path: Path
) -> None:
    one = train_files(tmp_path / "one", frames, member)
    poisoned = [frame.copy() for frame in frames]
    for frame in poisoned:
        frame.loc[frame.index[-200 - HORIZON :], frame.columns.drop(["timestamp", "segment"])] = 7.7
    two = train_files(tmp_path / "two", poisoned, member)
    train_tft(**one)
    train_tft(**two)
    assert Path(one["output"]).read_bytes() == Path(two["output"]).read_bytes()
    curve = pd.read_csv(one["curve"])
    assert curve["epoch"].tolist() == list(range(SETTINGS["epochs"]))
    assert curve.notna().all().all()
    assert not list((tmp_path / "one").glob(".resume*"))


KILLED = """
import sys
sys.path[:0] = [{scripts!r}, {tests!r}]
from pathlib import Path
import pandas as pd
from support.networks import train_files
from train_tft import train_tft
folder = Path({folder!r})
frames = [pd.read_parquet(folder / name) for name in ("S0.parquet", "S1.parquet")]
train_tft(**train_files(folder, frames) | {{"settings": {settings!r}}})
"""


def test_a_killed_training_resumes_to_the_same_weights(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    settings = SETTINGS | {"epochs": 8, "patience": 8}
    whole = train_files(tmp_path / "whole", frames) | {"settings": settings}
    train_tft(**whole)

    broken = train_files(tmp_path / "broken", frames) | {"settings": settings}
    code = KILLED.format(
        scripts=str(ROOT / "scripts"), tests=str(ROOT / "tests"), folder=str(tmp_path / "broken"), settings=settings
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if "epoch 2 of" in line:
            break
    deadline = time.monotonic() + 20
    while not list((tmp_path / "broken").glob(".resume*/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stderr.close()
    assert not Path(broken["output"]).exists()
    train_tft(**broken)
    for name in ("output", "curve"):
        assert Path(broken[name]).read_bytes() == Path(whole[name]).read_bytes()


def test_a_nan_feature_is_named(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    bad = frames[1].copy()
    bad.loc[700, "rsi"] = np.nan
    when = iso(int(bad["timestamp"].iloc[700]))
    files = train_files(tmp_path, [frames[0], bad])
    with pytest.raises(UserError, match=f"fold 0: feature rsi of S1 is NaN or infinite at {when}; check the candles"):
        train_tft(**files)
    assert not Path(files["output"]).exists()


def test_a_nan_loss_is_reported_and_the_last_good_checkpoint_stays(
    frames: list[pd.DataFrame], panel: Panel, tmp_path: Path
) -> None:
    parts = cut(frames, int(frames[0]["timestamp"].iloc[-1]))
    message = r"title: the loss is NaN in epoch 2, first for symbol \d at 20\S+; lower tft.learning_rate"
    with pytest.raises(UserError, match=message):
        training.fit(network_for(frames), panel, parts, SETTINGS, Run(1, "title", tmp_path), [Spoil()])
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 0
    assert all(weight.isfinite().all() for weight in kept["state_dict"].values())


class Code:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_run(frames: list[pd.DataFrame], panel: Panel, tmp_path: Path) -> None:
    """It is ignored, as a damaged one is: training starts again."""
    parts, run = cut(frames, int(frames[0]["timestamp"].iloc[-1])), Run(1, "title", tmp_path / "run")
    run.folder.mkdir()
    torch.save({"epoch": Code(tmp_path / "was here")}, run.folder / "last.ckpt")
    training.fit(network_for(frames), panel, parts, SETTINGS | {"epochs": 1}, run)
    assert not (tmp_path / "was here").exists()
    assert torch.load(run.folder / "last.ckpt", weights_only=True)["epoch"] == 0


class Recorded(Callback):
    """The weights after each step."""

    def __init__(self) -> None:
        self.weights: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Keep them."""
        self.weights.append(torch.nn.utils.parameters_to_vector(pl_module.parameters()).detach().double())


@pytest.mark.parametrize("decay", [0.0, 0.8, 0.999])
def test_what_is_kept_is_the_weights_moving_average(
    frames: list[pd.DataFrame], panel: Panel, decay: float, tmp_path: Path
) -> None:
    """Of every fifth step's weights, over a past that grows until the decay is reached."""
    parts, recorded = cut(frames, int(frames[0]["timestamp"].iloc[-1])), Recorded()
    model = SETTINGS | {"ema_decay": decay, "epochs": 2, "steps_per_epoch": 23}
    network = network_for(frames)
    training.fit(network, panel, parts, model, Run(1, "title", tmp_path), [recorded])
    assert len(recorded.weights) == 46
    expected = recorded.weights[4]
    for step in range(10, 47, 5):
        kept = min(decay, (1 + step) / (10 + step)) ** 5
        expected = kept * expected + (1 - kept) * recorded.weights[step - 1]
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    averages = torch.cat([last[name].flatten() for name, _ in network.named_parameters()])
    torch.testing.assert_close(averages.double(), expected, rtol=1e-4, atol=1e-6)
    assert (averages - recorded.weights[-1]).abs().max() > 1e-4


def test_a_checkpoint_round_trips_and_the_library_loads_it(
    frames: list[pd.DataFrame], panel: Panel, tmp_path: Path
) -> None:
    network, names = network_for(frames, seed=3), feature_columns(frames[0])
    scaler = fit_scaler(frames)
    hyper = hyper_for(frames)
    path = tmp_path / "model.ckpt"
    checkpoint.save(str(path), checkpoint.TrainedModel(network, scaler, names, LEVELS, {"fold": "0"}), hyper)
    back = checkpoint.load(str(path))
    at = np.array([100, 700])
    assert predict(back.network, panel, at).numpy().tobytes() == predict(network, panel, at).numpy().tobytes()
    np.testing.assert_array_equal(back.scaler.mean, scaler.mean)
    assert back.features == names
    stock = TemporalFusionTransformer(**hyper, logging_metrics=torch.nn.ModuleList())
    stock.load_state_dict(torch.load(path, weights_only=True)["state_dict"])


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_damaged_checkpoint_is_named(frames: list[pd.DataFrame], content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    names = feature_columns(frames[0])
    hyper = hyper_for(frames)
    network = network_for(frames)
    checkpoint.save(str(path), checkpoint.TrainedModel(network, fit_scaler(frames), names, LEVELS, {}), hyper)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(UserError, match=r"model\.ckpt: not a usable checkpoint .* delete it and run again"):
        checkpoint.load(str(path))


def test_too_little_history_is_refused(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    short = train_files(tmp_path, [frame.tail(250).reset_index(drop=True) for frame in frames])
    with pytest.raises(UserError, match="fold 0: the candles before .* hold only .* increase days"):
        train_tft(**short)
    none = train_files(tmp_path, [frame.tail(150).reset_index(drop=True) for frame in frames])
    with pytest.raises(UserError, match="there are no candles before the end of training; increase days"):
        train_tft(**none)


def test_a_missing_device_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match=r"tft.device: gpu is not available .* choose one of: auto, cpu"):
        training.device("gpu")


def test_features_are_rounded_far_below_their_noise_and_clipped_far_beyond_it(frames: list[pd.DataFrame]) -> None:
    names = feature_columns(frames[0])
    scaler = fit_scaler(frames)
    extreme = frames[0].copy()
    extreme.loc[3, "rsi"] = 1e9
    rows = np.empty((len(extreme), len(names)), dtype=np.float32)
    scaler.into(rows, extreme, names)
    rsi, day = names.index("rsi"), names.index("day_sin")
    assert rows[3, rsi] == 8
    kept = np.delete(np.arange(len(extreme)), 3)
    exact = (extreme["rsi"] - scaler.mean[rsi]) / scaler.deviation[rsi]
    assert np.abs(rows[kept, rsi] - exact[kept]).max() <= 1 / 64 + 1e-6
    assert np.abs(rows[:, day] - extreme["day_sin"]).max() <= 1 / 512 + 1e-6
    assert set(np.unique(rows[:, rsi] * 32 % 1)) == {0.0}
