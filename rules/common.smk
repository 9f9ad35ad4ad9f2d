# What the rules' files share: where inputs are. Outputs are flagged update(): scripts
# write them whole or not at all, so a failed job leaves what an earlier run made, which the next run replaces.


# the exchange as far as another one would have other candles
MARKET = {key: value for key, value in SETTINGS["exchange"].items() if key not in ("options", "patience", "grace")}
MARKET["source"] = source_of(SETTINGS["exchange"])


def connection(wildcards, threads):
    """The exchange and how it is asked. Snakemake reruns nothing for a parameter that is a function of `threads`: with
    another timeout or proxy the candles are the same."""
    return SETTINGS["exchange"]


# the simulated market makes all symbols' candles in one job: what they share it makes from its beginning
SIMULATED = SETTINGS["exchange"]["id"] == "simulated"
FETCHED, FETCH_LOG, OUTCOME_LOG = (SYMBOLS, "", "all") if SIMULATED else (["{symbol}"], "-{symbol}", "{symbol}")


def requested(wildcards):
    """The time that a cutoff is asked to be."""
    return wildcards.cutoff == "live" and SETTINGS["ledger"]["as_of"] or SETTINGS["as_of"]


def asked_for(wildcards):
    """The symbols of a job that fetches."""
    return SYMBOLS if SIMULATED else [wildcards.symbol]


def ready(wildcards):
    """What a decision on a live exchange waits for before its cutoff is taken: all that takes long. On historical data
    the clock stands still meanwhile."""
    if wildcards.cutoff == "train" or SETTINGS["exchange"]["id"] in EXCHANGES:
        return []
    models = expand(f"{ARTIFACTS}/models/live/{{tft}}-seed{{seed}}.ckpt", tft=NETWORKS, seed=SETTINGS["tft"]["seeds"])
    return [*models, *(f"{ARTIFACTS}/{name}.json" for name in ("evaluation", "path_scores", "backtest"))]


def trained_before(wildcards):
    """For the decision, the cutoff of its training."""
    return [] if wildcards.cutoff == "train" else f"{DATA}/as_of/train.json"


def cutoff_of(wildcards):
    """The cutoff that a fold's forecasts stand on."""
    return f"{DATA}/as_of/{'live' if wildcards.fold == 'live' else 'train'}.json"


def earlier_folds(wildcards):
    """The folds whose outcomes were known before a fold."""
    return [fold for fold in FOLDS if int(fold) < int(wildcards.fold)]


def weights_before(wildcards):
    """Where weights are held, the decisions of the fold before."""
    if SETTINGS["decision"]["policy"] != "exposure" or wildcards.fold == FOLDS[0]:
        return []
    return f"{ARTIFACTS}/backtest/{int(wildcards.fold) - 1}.csv"


def scheme_of(wildcards):
    """The fold scheme that a fold is part of. The live one is after all test spans, so it is the same in any scheme."""
    return SCHEME if wildcards.fold != "live" else SCHEME | {"count": 0, "test_bars": 0, "embargo": 0}


def features_of(cutoff):
    """Features of all symbols, in the order of the config."""
    return [f"{DATA}/features/{cutoff}/{symbol}.parquet" for symbol in SYMBOLS]


def candles_of(cutoff):
    """Candles of all symbols, in the order of the config."""
    return [f"{DATA}/candles/{cutoff}/{symbol}.parquet" for symbol in SYMBOLS]


def of_decided(form):
    """The files of a form, {symbol} in it, of the symbols among which the run's decision is."""
    return expand(form, symbol=SYMBOLS if SETTINGS["consensus"]["symbol"] == BEST else SETTINGS["consensus"]["symbol"])


def sealed_name(path):
    """The name under which a decision seals a file: the same wherever its folders are."""
    for name, folder in (("artifacts", ARTIFACTS), ("data", DATA)):
        if path.startswith(f"{folder}/"):
            return f"{name}{path[len(folder):]}"
    return f"plug-ins/{Path(path).name}"


def trials_if_required(names):
    """Results of leak trials, where the config insists that plug-ins pass them."""
    return [f"{ARTIFACTS}/leak_trial/{name}.json" for name in names if SETTINGS["leak_trial"]["required"]]


def watched(folder):
    """The candle files of the symbols under a folder.

    Not those with braces in their path, though they are read: to Snakemake they are wildcards, and there is no escape.
    """
    found = candle_files(folder, SYMBOLS)
    return sorted(str(path) for paths in found.values() for path in paths if not contains_wildcard(path))


def import_files():
    """The candle files that `import_candles` reads."""
    folder = SETTINGS["exchange"]["folder"]
    return watched(folder) if folder else []


def replay_files():
    """The candle files that the replay exchange reads: a changed or a new one reruns what reads them."""
    return watched(SETTINGS["exchange"]["folder"]) if SETTINGS["exchange"]["id"] == "replay" else []


def pictured(name, category):
    """A picture of that name, for Snakemake's report too, with its caption."""
    picture = update(f"{ARTIFACTS}/plots/{name}.png")
    return report(picture, caption=f"../docs/report/{name}.rst", category=category)


PLOTS = expand(
    f"{ARTIFACTS}/plots/{{plot}}.{{kind}}",
    plot=["evaluation", "evaluation_detail", "forecast", "consensus", "breakeven", "paths", "backtest"],
    kind=["png", "pdf"],
)


def reported(wildcards):
    """What the report shows; where nothing else may be made (--allowed-rules, as `make report` has it), of that what is
    there."""
    forecasts = expand(f"{ARTIFACTS}/forecasts/{{fold}}/{{member}}.parquet", fold=FOLDS, member=EVALUATED)
    results = [
        *(f"{ARTIFACTS}/{name}.json" for name in ("evaluation", "path_scores", "backtest", "mock_trade", "mock_eval")),
        *(f"{ARTIFACTS}/{name}.csv" for name in ("evaluation_steps", "forecast", "backtest", "backtest_equity")),
        *expand(f"{ARTIFACTS}/decisions/{{symbol}}.json", symbol=SYMBOLS),
        *expand(f"{ARTIFACTS}/forecasts/live/{{member}}.parquet", member=[ENSEMBLE, *SELECTED]),
        f"{ARTIFACTS}/forecasts/live/paths.parquet",
        *expand(f"{DATA}/outcome/{{symbol}}.parquet", symbol=SYMBOLS),
        *(path for path in PLOTS if path.endswith(".png")),
        f"{ARTIFACTS}/run.yaml",
    ]
    wanted = forecasts + results + candles_of("train") + candles_of("live")
    return [path for path in wanted if Path(path).exists()] if workflow.dag_settings.allowed_rules else wanted
