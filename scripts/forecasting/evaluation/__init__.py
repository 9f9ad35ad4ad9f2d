"""What forecasts are worth: scores, significance, verdict."""
