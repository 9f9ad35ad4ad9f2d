"""Trading: costs, the decision and its audit."""
