"""Forecasting: task, folds, the registry of members, quantiles and losses. Knows no trade."""
