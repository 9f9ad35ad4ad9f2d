"""What the rules' jobs ask for: memory in MB and time in minutes. Threads are Snakemake's default, one, but for
trainings."""

from collections.abc import Callable
from typing import Any

Resources = dict[str, int | Callable[..., int]]

# a second's work, where snakemake is called
LIGHT: Resources = {"mem_mb": 1000, "runtime": 10}


def scaled(mem_mb: int, mem_mb_per_input_mb: float, runtime: int) -> Resources:
    """Memory that grows with a job's input, and time; the second attempt gets twice as much of both, the third three
    times."""

    def memory(wildcards: Any, input: Any, attempt: int) -> int:
        return attempt * int(mem_mb + mem_mb_per_input_mb * input.size_mb)

    def minutes(wildcards: Any, attempt: int) -> int:
        return attempt * runtime

    return {"mem_mb": memory, "runtime": minutes}
