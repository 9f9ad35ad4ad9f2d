"""Several branches in one run: the names of their rules, and what is made of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def prefix(branch: str) -> str:
    """What stands before the names of a branch's rules: 5m_48_ for 5m-48."""
    return f"{branch.replace('-', '_')}_"


def share_settings(settings: Any, branches: Iterable[str], rename: Callable[[str], str] = str) -> None:
    """Let the threads and resources in Snakemake's settings of a rule hold in every branch, before these have rules.

    What is set for a rule of one branch stays. `rename` is what a workflow that has this one as a module does to names
    of rules.
    """
    starts = [rename(prefix(branch)) for branch in branches]
    settings.overwrite_threads = _for_each(starts, settings.overwrite_threads)
    settings.overwrite_resources = _for_each(starts, settings.overwrite_resources)


def label(workflow: Any, branches: Iterable[str]) -> None:
    """Let the message of each job name its branch."""
    for branch in branches:
        for rule in _rules(workflow, branch):
            if rule.message:
                rule.message = f"{branch}: {rule.message}"


def targets_of(workflow: Any, branches: Iterable[str]) -> dict[str, list[str]]:
    """By the name of each rule that can be a target: what the branches' rules of that name make, or gather."""
    found: dict[str, list[str]] = {}
    for branch in branches:
        for rule in _rules(workflow, branch):
            if not rule.has_wildcards():
                files = map(str, rule.output or rule.input)
                found.setdefault(rule.name.removeprefix(_prefix(workflow, branch)), []).extend(files)
    return found


def _prefix(workflow: Any, branch: str) -> str:
    """The same where this workflow is a module of another, which renames its rules."""
    renamed: str = workflow.modifier.modify_rulename(prefix(branch))
    return renamed


def _rules(workflow: Any, branch: str) -> list[Any]:
    return [rule for rule in workflow.rules if rule.name.startswith(_prefix(workflow, branch))]


def _for_each(starts: Iterable[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {start + name: value for start in starts for name, value in settings.items()} | dict(settings)
