"""Snakemake (9.27) passes `--consider-ancient RULE=NAME` by where the named input is a list of files. Unneeded once it
reaches the items of a list, as it does those of a function."""

import functools
from pathlib import Path
from typing import Any

from snakemake.io import flag
from snakemake.rules import Rule

from dag.patches.installed import expect_parameters

PARAMETERS = {"self", "item", "output", "name", "mark_ancient"}


def patch() -> None:
    """Let `--consider-ancient` mark the files of a list."""
    expect_parameters(Rule, "_set_inoutput_item", PARAMETERS, "snakemake")
    set_item = Rule._set_inoutput_item
    if hasattr(set_item, "__wrapped__"):
        return

    @functools.wraps(set_item)
    def with_lists(self: Rule, item: Any, *given: Any, mark_ancient: bool = False, **options: Any) -> None:
        if mark_ancient and not isinstance(item, (str, Path)) and not callable(item):
            item = [flag(part, "ancient") for part in item]
        set_item(self, item, *given, mark_ancient=mark_ancient, **options)

    Rule._set_inoutput_item = with_lists
