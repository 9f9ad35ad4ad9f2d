"""Sample paths of all symbols together, of a forecast's marginals and the dependence of history, and their scores."""
