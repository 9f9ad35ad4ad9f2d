"""Forecasting: folds, windows, the TFT, baselines, quantiles and scores. Knows no trade."""
