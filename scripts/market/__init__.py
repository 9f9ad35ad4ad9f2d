"""The market: exchanges behind one seam, candles and their quality, indicators. Knows no model."""
