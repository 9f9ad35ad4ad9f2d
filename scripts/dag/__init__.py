"""What the Snakefile needs before any job runs: the checked config, and which modules a script is made of."""
