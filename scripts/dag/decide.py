"""What `./exec.sh --decide` asks of the last run: its models, and how old they are."""

from pathlib import Path

from common.errors import UserError
from common.files import read_json
from dag.settings import Settings
from forecasting.members import TFTS
from market.exchange import EXCHANGES, open_exchange
from market.intervals import DAY, parse_time, step_ms

# settings of which no model and no forecast of the past hangs
DECISION_SETTINGS = ("consensus.", "decision.", "ledger.", "exchange.options", "exchange.patience", "exchange.grace")
# what a decision needs beside the models
DECIDES_BY = ("evaluation.json", "path_scores.json")


def check_trained(run: Settings) -> None:
    """Raise UserError where a model, or what a decision is judged by, is missing."""
    artifacts = Path(run["paths"]["artifacts"])
    networks = [name for name in run["members"] if name in TFTS]
    models = [f"models/live/{name}-seed{seed}.ckpt" for name in networks for seed in run["tft"]["seeds"]]
    for name in (*DECIDES_BY, *models):
        if not (artifacts / name).is_file():
            raise UserError(
                f"argument --decide: {artifacts / name} is missing, and --decide does not make it; "
                "run ./exec.sh --full first"
            )


def outdated(run: Settings, now: float) -> str | None:
    """Why the models are trained anew: they are older than ledger.max_model_age. None: they are not, or would be as
    old again, since as_of is given. now: this machine's time (s)."""
    settings, limit = run["exchange"], run["ledger"]["max_model_age"]
    if limit is None or run["as_of"] != "latest":
        return None
    trained, moment = read_json(Path(run["paths"]["data"], "as_of", "train.json")), 1000 * now
    if run["ledger"]["as_of"] not in (None, "latest"):
        moment = parse_time(run["ledger"]["as_of"])
    elif settings["id"] in EXCHANGES:
        exchange = open_exchange(settings, run["symbols"], run["interval"])
        moment = exchange.milliseconds() - run["horizon"] * step_ms(run["interval"])
    age = (moment - trained["as_of"]) / DAY
    if age <= limit:
        return None
    return (
        f"the models were trained on candles up to {trained['as_of_iso']}, {age:.1f} days ago, and "
        f"ledger.max_model_age is {limit:g}: they are trained anew"
    )
