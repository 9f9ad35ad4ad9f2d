# What the rules' files share: where inputs are. Outputs are flagged update(): scripts
# write them whole or not at all, so a failed job leaves what an earlier run made, which the next run replaces.


def cutoff_of(wildcards):
    """The cutoff that a fold's forecasts stand on."""
    return f"{DATA}/as_of/{'live' if wildcards.fold == 'live' else 'train'}.json"


def scheme_of(wildcards):
    """The fold scheme that a fold is part of. The live one is after all test spans, so it is the same in any scheme."""
    return SCHEME if wildcards.fold != "live" else SCHEME | {"count": 0, "test_bars": 0, "embargo": 0}


def features_of(cutoff):
    """Features of all symbols, in the order of the config."""
    return [f"{DATA}/features/{cutoff}/{symbol}.parquet" for symbol in SYMBOLS]


def candles_of(cutoff):
    """Candles of all symbols, in the order of the config."""
    return [f"{DATA}/candles/{cutoff}/{symbol}.parquet" for symbol in SYMBOLS]


def replay_files():
    """The candle files that the replay exchange reads: a changed or a new one reruns what reads them."""
    folder = SETTINGS["exchange"]["folder"]
    if SETTINGS["exchange"]["id"] != "replay":
        return []
    return sorted(str(path) for path in Path(folder).rglob("*.*") if path.is_file())


PLOTS = expand(
    f"{ARTIFACTS}/plots/{{plot}}.{{kind}}", plot=["evaluation", "forecast", "consensus"], kind=["png", "pdf"]
)
