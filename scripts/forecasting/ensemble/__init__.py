"""How members become the ensemble: their weights and its calibration."""
