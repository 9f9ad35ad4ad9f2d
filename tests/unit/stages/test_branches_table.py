"""The table of branches, of documents that the stages wrote."""

import re
from pathlib import Path

import pytest

from audit import audit
from branches import branches
from common.files import read_document
from consensus import consensus
from forecasting.documents import Evaluation
from support.worlds import World


def test_each_branch_is_a_line_of_its_skill_decision_and_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worlds = {
        "5m-12": World(tmp_path / "5m-12"),
        "1d-1": World(tmp_path / "1d-1", interval="1d", horizon=1, realised=0, simulated=False, width=None),
    }
    for world in worlds.values():
        consensus(**world.consensus_inputs())
        audit(**world.audit_inputs())
    text = tmp_path / "branches.txt"
    branches(
        text=str(text),
        names=list(worlds),
        evaluations=[str(world.evaluation) for world in worlds.values()],
        trades=[str(world.trade) for world in worlds.values()],
        audits=[str(world.audit) for world in worlds.values()],
    )
    assert capsys.readouterr().out == text.read_text()
    head, simulated, real = text.read_text().splitlines()
    assert re.split("  +", head) == ["branch", "skill", "in 90 %", "decision", "result"]
    scores = read_document(worlds["5m-12"].evaluation, Evaluation)["members"]["ensemble"]
    assert re.split("  +", simulated)[:4] == [
        "5m-12 (SIMULATED)",
        f"ensemble: {100 * (scores['skill']['ewma'] or 0):+.2f} % over ewma",
        f"{100 * scores['coverage90']:.1f} %",
        "BUY BTCUSDT at 2024-06-01T00:00:00Z",
    ]
    # where no model is evaluated, the best baseline is
    assert real.startswith("1d-1               ewma: +0.00 % over ewma")
    assert "HOLD BTCUSDT" in real and real.endswith("so nothing is settled.")
    assert head.index("result") == simulated.index("It ") == real.index("No close")
