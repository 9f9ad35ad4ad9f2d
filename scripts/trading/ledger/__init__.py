"""The ledger of decisions: entries in a hash chain, their settlement, the scores of their forecasts, drift."""
