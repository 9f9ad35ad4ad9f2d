"""What runs before and around the jobs, in Snakemake's Python: the checked config and its branches, the modules that a
script imports, the container image, the flags of exec.sh, and patches of Snakemake and its plugins."""
