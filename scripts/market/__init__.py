"""The market: exchanges behind one seam, candles and their quality, indicators and features. Knows no model."""
