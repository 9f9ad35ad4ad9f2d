"""What every test needs: scripts/ on the path, and where the real market data is."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))


# files of minutes: workers that take these first, a file each, end together
LONGEST = ["test_pipeline", "test_ways", "test_exec", "test_branches", "test_tune", "test_cli", "test_dag", "test_live"]
LONGEST += ["test_report", "test_compose", "test_entry_points", "test_host_commands"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    place = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real candles and exchange replies, from FORECAST_SHARED_DATA or beside the project."""
    folder = Path(os.environ.get("FORECAST_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"NO REAL DATA: {folder} is missing; set FORECAST_SHARED_DATA to the folder of real candles")
    return folder
