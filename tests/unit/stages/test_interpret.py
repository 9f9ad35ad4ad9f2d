"""Importance and attention: known weights are found, by symbol and regime, and drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from common.errors import UserError
from common.files import write_csv, write_json
from forecasting.bars import Bars
from forecasting.regimes import regimes
from forecasting.tft import checkpoint
from forecasting.tft.correction import fit_hars, with_har_inputs
from forecasting.tft.network import QuantileTFT, build_network, hyperparameters
from forecasting.tft.panel import Panel, feature_columns, fit_scaler
from interpret import interpret, shares
from market.candles import read_candles
from market.features import compute_features
from market.intervals import MINUTE
from plot_interpretation import by_regime, by_symbol, plot_interpretation
from support.candles import candles, others
from support.networks import LEVELS, LOOKBACK, SETTINGS, SPANS, TASK, hyper_for, network_for, train_files
from support.pictures import has_badge


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    return [compute_features(c, others(c), SPANS, MINUTE) for c in (candles(1500, seed=1), candles(1500, seed=2))]


def run(folder: Path, frames: list[pd.DataFrame], networks: list[QuantileTFT]) -> list[pd.DataFrame]:
    """Interpret these networks, as those of fold 0, on the frames: importance and attention."""
    given = train_files(folder, frames)
    names, models = feature_columns(frames[0]), []
    hyper = hyper_for(frames)
    for number, network in enumerate(networks):
        models.append(str(folder / f"{number}.ckpt"))
        checkpoint.save(models[-1], checkpoint.TrainedModel(network, fit_scaler(frames), names, LEVELS, {}), hyper)
    shared = {key: given[key] for key in ("features", "candles", "cutoff", "fold", "task", "scheme", "threads")}
    importance, attention = (str(folder / f"{name}.csv") for name in ("importance", "attention"))
    interpret(importance, attention, models, stride=10, **shared)
    return [pd.read_csv(path) for path in (importance, attention)]


def favouring(frames: list[pd.DataFrame], past: str, ahead: str) -> QuantileTFT:
    """A network whose selections take one variable alone, and whose attention looks everywhere alike."""
    network = network_for(frames)
    with torch.no_grad():
        for selection, name in (
            (network.encoder_variable_selection, past),
            (network.decoder_variable_selection, ahead),
        ):
            selection.flattened_grn.gate_norm.add_norm.norm.bias[list(selection.single_variable_grns).index(name)] = 50
        for layer in network.multihead_attn.q_layers:
            layer.weight.zero_()
            layer.bias.zero_()
    return network


def test_known_weights_are_found_and_seeds_are_averaged(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    networks = [favouring(frames, past, ahead) for past, ahead in (("rsi", "position"), ("volume_1", "position"))]
    importance, attention = run(tmp_path, frames, networks)
    by_variable = importance.set_index(["kind", "variable"])["importance"].sort_index()
    for variable, share in {("encoder", "rsi"): 0.5, ("encoder", "volume_1"): 0.5, ("decoder", "position"): 1}.items():
        np.testing.assert_allclose(by_variable.loc[variable], share, rtol=1e-4)
    assert set(importance["variable"]) == {*feature_columns(frames[0]), "position"}
    assert attention["lag"].unique().tolist() == list(range(LOOKBACK - 1, -1, -1))
    np.testing.assert_allclose(attention["attention"], 1 / LOOKBACK, rtol=1e-4)


def test_a_rejected_correction_has_nothing_to_interpret(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    """Its outputs are 0. Of several seeds the kept ones are interpreted, and a direct TFT always is."""
    given = train_files(tmp_path, frames)
    bars = [Bars.of(read_candles(path, "1m"), MINUTE) for path in given["candles"]]
    hars = fit_hars(["S0", "S1"], bars, int(frames[0]["timestamp"].iloc[-200]), TASK.horizon)
    names = feature_columns(with_har_inputs(frames, bars, hars)[0])
    hyper = hyperparameters(names, 1 + len(LEVELS), SETTINGS, LOOKBACK)
    networks = [build_network(hyper, LEVELS) for _ in range(2)]
    with torch.no_grad():
        networks[0].output_layer.weight.zero_()
        networks[0].output_layer.bias.zero_()
    paths = [str(tmp_path / f"{number}.ckpt") for number in range(2)]
    scaler = fit_scaler(with_har_inputs(frames, bars, hars))
    for path, network in zip(paths, networks, strict=True):
        checkpoint.save(path, checkpoint.TrainedModel(network, scaler, names, LEVELS, {}), hyper)
    shared = {key: given[key] for key in ("features", "candles", "cutoff", "fold", "task", "scheme", "threads")}
    tables = [str(tmp_path / f"{name}.csv") for name in ("importance", "attention")]
    interpret(tables[0], tables[1], paths[:1], stride=10, **shared)
    assert [len(pd.read_csv(path)) for path in tables] == [0, 0]
    cutoff = tmp_path / "plotted.json"
    write_json(cutoff, {"as_of": 1_717_200_000_000, "exchange": "binance", "simulated": False})
    plot_interpretation(str(tmp_path / "a.png"), str(tmp_path / "a.pdf"), tables[0], tables[1], str(cutoff), "1m")
    assert (tmp_path / "a.png").stat().st_size > 5_000
    interpret(tables[0], tables[1], paths, stride=10, **shared)
    both = [pd.read_csv(path) for path in tables]
    interpret(tables[0], tables[1], paths[1:], stride=10, **shared)
    for table, path in zip(both, tables, strict=True):
        assert len(table)
        pd.testing.assert_frame_equal(table, pd.read_csv(path))


def test_windows_are_counted_by_the_volatility_of_training(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    """Test origins are more volatile than all of training, but for two of the second symbol that are less so."""
    shaped = [frame.copy() for frame in frames]
    for frame in shaped:
        frame.loc[frame.index[:-200], "scale"] = np.linspace(1e-3, 2e-3, len(frame) - 200)
        frame.loc[frame.index[-200:], "scale"] = 5e-3
    shaped[1].loc[shaped[1].index[[-200, -190]], "scale"] = 1e-4
    importance, attention = run(tmp_path, shaped, [network_for(frames)])
    for table in (importance, attention):
        counted = table[["symbol", "regime", "origins"]].drop_duplicates()
        assert counted.to_numpy().tolist() == [["S0", "high", 20], ["S1", "low", 2], ["S1", "high", 18]]


def test_attention_is_the_library_s_with_the_last_bar_first(frames: list[pd.DataFrame]) -> None:
    network = network_for(frames, seed=5)
    panel, at = Panel(frames, fit_scaler(frames), TASK), np.arange(100, 300, 2)
    found = shares(network, panel, at)
    with torch.no_grad():
        raw = network(panel.windows(at))["encoder_attention"][:, 0].mean(dim=1).double().numpy()
    np.testing.assert_allclose(found["attention"][0], raw[:, -1] / raw.sum(axis=1), rtol=1e-4)
    assert "static" not in found


def test_other_features_are_refused(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    run(tmp_path, frames, [network_for(frames)])
    with pytest.raises(UserError, match=r"0\.ckpt: was trained on other features"):
        checkpoint.load_for(str(tmp_path / "0.ckpt"), ["rsi"])


def test_regimes_are_terciles_of_training() -> None:
    training = np.arange(1.0, 8)  # terciles at 3 and 5
    assert (
        regimes(np.array([0.0, 3, 3.1, 5, 5.1, 99]), training).tolist() == ["low"] * 2 + ["medium"] * 2 + ["high"] * 2
    )


def tables(folder: Path, symbols: int, variables: int, lookback: int, regimes_drawn: list[str]) -> dict[str, Any]:
    """Made-up tables of rule interpret, and a cutoff: arguments of the plot."""
    random, importance, attention = np.random.default_rng(1), [], []
    for symbol in range(symbols):
        for regime in regimes_drawn:
            key = {"symbol": f"COIN{symbol}USDT", "regime": regime, "origins": 5 + symbol}
            for kind, count in (("encoder", variables), ("decoder", 3)):
                shares = random.dirichlet(np.ones(count))
                importance += [key | {"kind": kind, "variable": f"v{k}", "importance": s} for k, s in enumerate(shares)]
            shares = random.dirichlet(np.ones(lookback))
            attention += [key | {"lag": lag, "attention": share} for lag, share in enumerate(shares)]
    write_csv(folder / "importance.csv", pd.DataFrame(importance))
    write_csv(folder / "attention.csv", pd.DataFrame(attention))
    write_json(folder / "cutoff.json", {"as_of": 1_717_200_000_000, "exchange": "binance", "simulated": symbols > 1})
    files = {"importance": "importance.csv", "attention": "attention.csv", "cutoff": "cutoff.json"}
    return {name: str(folder / file) for name, file in files.items()} | {"interval": "1m"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "symbols, variables, lookback, regimes_drawn", [(7, 30, 48, ["low", "medium", "high"]), (1, 4, 1, ["high"])]
)
def test_the_picture(tmp_path: Path, symbols: int, variables: int, lookback: int, regimes_drawn: list[str]) -> None:
    given = tables(tmp_path, symbols, variables, lookback, regimes_drawn)
    drawn = []
    for name in ("one", "two"):
        plot_interpretation(str(tmp_path / f"{name}.png"), str(tmp_path / f"{name}.pdf"), **given)
        drawn.append((tmp_path / f"{name}.png").read_bytes() + (tmp_path / f"{name}.pdf").read_bytes())
    assert drawn[0] == drawn[1]
    assert has_badge(tmp_path / "one.png") == (symbols > 1)


def test_symbols_count_alike_by_regime_and_windows_by_symbol() -> None:
    table = pd.DataFrame(
        {
            "symbol": ["A", "B", "A"],
            "regime": ["high", "high", "low"],
            "origins": [1, 9, 3],
            "lag": 0,
            "attention": [0.2, 0.4, 0.6],
        }
    )
    assert {name: float(means[0]) for name, means in by_regime(table, "lag", "attention").items()} == pytest.approx(
        {"low": 0.6, "high": 0.3}
    )
    assert {name: float(means[0]) for name, means in by_symbol(table, "lag", "attention").items()} == pytest.approx(
        {"A": 0.5, "B": 0.4}
    )
