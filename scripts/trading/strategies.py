"""Names of a backtest's strategies, as its tables and figures have them."""

FOLLOWED, TOLD, SIZED, BY_EWMA = "decisions", "oracle trader", "sized by the ensemble", "sized by EWMA"
BY_ORACLE, CONSTANT, WHOLE, CASH = "sized by the oracle", "constant weight", "buy and hold", "cash"
# in the order of tables
STRATEGIES = (FOLLOWED, TOLD, SIZED, BY_EWMA, BY_ORACLE, CONSTANT, WHOLE, CASH)
