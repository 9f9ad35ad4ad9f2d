"""The ensemble: its members' weights, and its calibration."""
