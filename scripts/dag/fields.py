"""Types of the config's values: what each may be, in one canonical form however it was written."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from common.secrets import secret_in
from market.intervals import iso, parse_time
from market.symbols import slug

# kinds of errors: a value that is not what it must be; one that something else is wrong with; a key inside it
INVALID, REFUSED, REFUSED_KEY = "config_invalid", "config_refused", "config_refused_key"


@dataclass(frozen=True)
class MustBe:
    """What a value must be: completes the sentence of the error that it gets otherwise, and the docs."""

    meaning: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def _validate(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            # what is wrong inside the value, or how it is, says more
            if first["loc"] or first["type"] in (REFUSED, REFUSED_KEY):
                raise
            finite = not isinstance(value, float) or math.isfinite(value)
            raise invalid(value, self.meaning if finite else "a finite number") from error


def invalid(value: Any, meaning: str) -> PydanticCustomError:
    """The error of a value that is not what it must be."""
    text = "invalid value {value}; it must be {meaning}"
    return PydanticCustomError(INVALID, text, {"value": repr(value), "meaning": meaning})


def refused(text: str) -> PydanticCustomError:
    """The error of a value, where `text` says what is wrong with it and what to do."""
    return PydanticCustomError(REFUSED, "{text}", {"text": text})


def refused_key(key: str, text: str) -> PydanticCustomError:
    """The same, of a key inside the value that is checked."""
    return PydanticCustomError(REFUSED_KEY, "{text}", {"text": f"{key}: {text}"})


def from_text(value: Any) -> Any:
    """A text as what YAML makes of it: inside the braces of --config everything is text."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        return value


def _null_from_text(value: Any) -> Any:
    return None if isinstance(value, str) and from_text(value) is None else value


def _number(value: Any) -> Any:
    value = from_text(value)
    try:
        # to YAML 1.1, 1e-3 is a text
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _whole(value: Any) -> Any:
    value = _number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _time(value: Any) -> Any:
    # YAML reads an unquoted time as one
    return value.isoformat() if isinstance(value, date | datetime) else value


def _utc(text: str) -> str:
    return iso(parse_time(text))


def _free(value: Any) -> Any:
    """A mapping whose keys are another library's: texts as YAML reads them, keys in one order."""
    if isinstance(value, dict):
        return {key: _free(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return [_free(item) for item in value]
    value = from_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise refused(f"{value} is not a finite number")
    return value


def _without_secrets(options: dict[str, Any]) -> dict[str, Any]:
    secret = secret_in(options)
    if secret:
        raise refused_key(
            secret, "credentials do not belong in a config; set EXCHANGE_API_KEY and EXCHANGE_SECRET in the environment"
        )
    return options


def increasing(values: list[Any]) -> list[Any]:
    """The list, if each value is greater than the one before it."""
    if values != sorted(set(values)):
        raise refused(f"{values} must be strictly increasing")
    return values


def distinct(values: list[Any]) -> list[Any]:
    """The list, if no value is in it twice."""
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise refused(f"{twice} is listed twice; list each once")
    return values


FromText = BeforeValidator(from_text)
NullFromText = BeforeValidator(_null_from_text)
ToWhole = BeforeValidator(_whole)
ToNumber = BeforeValidator(_number)

Flag = Annotated[bool, FromText, MustBe("true or false")]
Text = Annotated[str, Field(min_length=1), MustBe("a string")]
Count = Annotated[int, Field(ge=1), ToWhole, MustBe("a whole number, 1 or more")]
CountOrNull = Annotated[Count | None, NullFromText, MustBe("a whole number, 1 or more, or null")]
Natural = Annotated[int, Field(ge=0), ToWhole, MustBe("a whole number, 0 or more")]
NaturalOrNull = Annotated[Natural | None, NullFromText, MustBe("a whole number, 0 or more, or null")]
Width = Annotated[int, Field(ge=2), ToWhole, MustBe("a whole number, 2 or more")]
Seed = Annotated[int, Field(ge=0, lt=2**32), ToWhole, MustBe(f"a whole number from 0 to {2**32 - 1}")]
Number = Annotated[float, ToNumber, MustBe("a number")]
Positive = Annotated[float, Field(gt=0), ToNumber, MustBe("a number above 0")]
PositiveOrNull = Annotated[Positive | None, NullFromText, MustBe("a number above 0, or null")]
NotNegative = Annotated[float, Field(ge=0), ToNumber, MustBe("a number, 0 or more")]
Share = Annotated[float, Field(ge=0, le=1), ToNumber, MustBe("a number from 0 to 1")]
BelowOne = Annotated[float, Field(ge=0, lt=1), ToNumber, MustBe("a number from 0 to under 1")]
UpToHalf = Annotated[float, Field(gt=0, le=0.5), ToNumber, MustBe("a number above 0 and at most 0.5")]
Level = Annotated[float, Field(gt=0, lt=1), ToNumber, MustBe("a number between 0 and 1")]
Percent = Annotated[float, Field(ge=0, lt=100), ToNumber, MustBe("a percentage from 0 to under 100")]

Interval = Annotated[str, Field(pattern="^[1-9][0-9]*[mhd]$"), MustBe("a bar length such as 1m, 5m, 15m, 1h, 4h or 1d")]
Time = Annotated[str, BeforeValidator(_time), AfterValidator(_utc), MustBe('a UTC time such as "2024-05-31T12:00:00Z"')]
TimeOrLatest = Annotated[
    str,
    BeforeValidator(_time),
    AfterValidator(lambda text: text if text == "latest" else _utc(text)),
    MustBe('latest, or a UTC time such as "2024-05-31T12:00:00Z"'),
]
# BTC/USDT, BTCUSDT, btcusdt: one symbol, by the name that files carry
Symbol = Annotated[
    str,
    Field(pattern="^[A-Za-z0-9]+(/[A-Za-z0-9]+(:[A-Za-z0-9]+)?|-[A-Za-z0-9]+)?$"),
    AfterValidator(slug),
    MustBe("a symbol such as BTC/USDT or BTCUSDT"),
]
Folder = Annotated[
    str, Field(pattern="^[^{}]+$"), MustBe("a folder, with no braces in its name: to Snakemake they are wildcards")
]
Options = Annotated[
    dict[str, Any],
    BeforeValidator(_free),
    MustBe("a mapping of ccxt constructor options"),
    AfterValidator(_without_secrets),
]
