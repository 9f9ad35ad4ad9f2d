"""Names of the members, as files and tables have them: the model, who knows the truth, and the baselines."""

TFT = "tft"
ORACLE = "oracle"
RANDOM_WALK = "random_walk"
BASELINES = (RANDOM_WALK, "ewma", "ewma_drift", "seasonal_naive")
