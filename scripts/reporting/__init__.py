"""The report of a run: what it found, read from its folder, as sentences, figures and one HTML page."""
