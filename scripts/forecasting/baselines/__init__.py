"""The baselines: each member's mathematics over plain arrays."""
