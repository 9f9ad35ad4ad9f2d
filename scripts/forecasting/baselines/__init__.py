"""The baselines: what each member computes, over plain arrays."""
