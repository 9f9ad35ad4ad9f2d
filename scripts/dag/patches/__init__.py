"""What Snakemake and its plugins get wrong, patched until they mend it."""
