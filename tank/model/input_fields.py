"""What variables, and files of secrets and configs, may say: the tables of their fields, with every shorthand (C7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tank.model import input_words, words
from tank.model.faults import BAD, Refused, Spot, did_you_mean, quoted
from tank.model.grammar import Either, Field, Kind, ListOf, MapOf, Record, Scalar, Schema, choice, flag, text, whole
from tank.model.grammar import wrong_type as wrong

MOST_VARIABLES, MOST_KEYS = 5000, 1000
NAME_OF_INPUT = text(input_words.input_name, minLength=1)
KEY = text(input_words.input_key, minLength=1)
ID = whole(0, words.MAX_ID)
MODE = Scalar(
    (str,), words.octal_mode, {"type": "string", "pattern": "^0?[0-7]{3}$|^[0-7]{4}$"}, "a string such as '0750'"
)
ENV_CHANGE = Field(choice("nothing", "restart"), "What follows when its value changes.", default="nothing")


def _key_of(what: str) -> Kind:
    """`NAME/KEY`, `NAME`, or a mapping."""
    return Either(
        (
            text(input_words.key_of, minLength=1),
            Record(
                f"a key of a {what}",
                {
                    "name": Field(NAME_OF_INPUT, f"The {what}.", required=True),
                    "key": Field(KEY, "Which of its keys.", required=True),
                    "optional": Field(flag(), "Without it the variable is left out.", default=False),
                },
            ),
        ),
        f"the name of a {what}, 'NAME/KEY' or a mapping",
    )


SOURCE = Record(
    "a variable's source",
    {
        "secret": Field(_key_of("secret"), "A key of a secret: 'NAME/KEY'; 'NAME' is its key of the same name."),
        "config": Field(_key_of("config"), "A key of a config: 'NAME/KEY'; 'NAME' is its key of the same name."),
        "field": Field(
            text(input_words.fact), "A fact of the pod: name, uid, node, ip, labels['tier'], limits.memory, …"
        ),
        "divisor": Field(
            Scalar((int, float, str), input_words.divisor, {"type": ["number", "string"]}, "a number or a size"),
            "The unit that a limit is told in: '1MiB'.",
        ),
        "on_change": ENV_CHANGE,
    },
    foreign={
        "secretKeyRef": "secret",
        "configMapKeyRef": "config",
        "fieldRef": "field",
        "resourceFieldRef": "field",
        "configMap": "config",
    },
    one_of=("secret", "config", "field"),
)

_FROM = Field(SOURCE, "Where its value comes from: {secret: …}, {config: …} or {field: …}.")
_ENV_MAP = MapOf(
    words.env_name,
    Either(
        (
            text(),
            Record("a variable", {"from": Field(SOURCE, _FROM.doc, required=True)}, foreign={"valueFrom": "from"}),
        ),
        "a string or {from: …}",
        bare=True,
    ),
    most=MOST_VARIABLES,
)
_ENV_LIST = ListOf(
    Record(
        "a variable",
        {
            "name": Field(text(words.env_name), "The variable's name: printable ASCII without '='.", required=True),
            "value": Field(text(), "Its value; $(NAME) expands to a variable defined earlier."),
            "from": _FROM,
        },
        foreign={"valueFrom": "from"},
        one_of=("value", "from"),
    ),
    most=MOST_VARIABLES,
)


@dataclass(frozen=True, slots=True)
class Env:
    """Variables as a mapping or as a list of {name, value}; canonical: the list. Duplicates are legal (C7)."""

    takes: tuple[type, ...] = (dict, list)

    def read(self, value: Any, spot: Spot) -> Any:
        """The list of {name, value} and {name, source}, in order."""
        if type(value) is list:
            found = _ENV_LIST.read(value, spot)
            return found if found is BAD else [_variable(each, spot.at(at)) for at, each in enumerate(found)]
        if type(value) is not dict:
            return wrong(spot, "a mapping or a list", value, "write NAME: value, one a line")
        found = _ENV_MAP.read(value, spot)
        return found if found is BAD else [_variable(_named(*each), spot.at(each[0])) for each in found.items()]

    def schema(self) -> Schema:
        return {"anyOf": [_ENV_MAP.schema(), _ENV_LIST.schema()]}


def _named(name: str, value: Any) -> Any:
    return {"name": name, **value} if type(value) is dict else {"name": name, "value": value}


def _variable(variable: Any, spot: Spot) -> Any:
    """With `source` for `from`, which is no word for a field in Python. Only limits have a divisor."""
    if type(variable) is not dict or "from" not in variable:
        return variable
    source = variable["from"]
    told = source.get("field", "" if {"secret", "config"} & source.keys() else "limits.")
    if "divisor" in source and not told.startswith("limits."):
        spot.at("from", "divisor").fault("only a limit is told in units")
    return {**{name: each for name, each in variable.items() if name != "from"}, "source": source}


ENV_FROM = ListOf(
    Record(
        "a source of variables",
        {
            "secret": Field(NAME_OF_INPUT, "Every key of this secret becomes a variable."),
            "config": Field(NAME_OF_INPUT, "Every key of this config becomes a variable."),
            "prefix": Field(text(words.env_prefix), "Put before each name.", default=""),
            "optional": Field(flag(), "Go on without it.", default=False),
            "on_change": ENV_CHANGE,
        },
        foreign={"secretRef": "secret", "configMapRef": "config", "configMap": "config"},
        one_of=("secret", "config"),
    ),
    most=100,
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys become files: a list, or a mapping from key to path; canonical: the mapping."""

    takes: tuple[type, ...] = (list, dict)

    def read(self, value: Any, spot: Spot) -> Any:
        """The mapping from key to path; no path may be another's, nor lie below it."""
        if type(value) is list:
            found = ListOf(KEY, least=1, most=MOST_KEYS, once=True).read(value, spot)
            found = found if found is BAD else {each: each for each in found if each is not BAD}
        elif type(value) is dict:
            found = _KEY_MAP.read(value, spot)
        else:
            return wrong(spot, "a list of keys or a mapping from key to path", value)
        return found if found is BAD else self._apart(found, spot)

    def _apart(self, found: dict[str, Any], spot: Spot) -> Any:
        seen: list[str] = []
        for key, path in found.items():
            if path is BAD:
                continue
            if any(words.is_below(path, each) or words.is_below(each, path) for each in seen):
                spot.at(key).fault(f"another key is at {quoted(path)} already, or above or below it")
            seen.append(path)
        return found

    def schema(self) -> Schema:
        return {"anyOf": [ListOf(KEY, least=1, most=MOST_KEYS).schema(), _KEY_MAP.schema()]}


_KEY_MAP = MapOf(input_words.input_key, text(input_words.file_path, minLength=1), most=MOST_KEYS)


def _word_of_change(value: str) -> dict[str, Any]:
    if value not in ("nothing", "restart"):
        raise Refused(
            f"must be nothing, restart, {{signal: NAME}} or {{exec: [..]}}, found {quoted(value)}",
            did_you_mean(value, ("nothing", "restart")),
        )
    return {"restart": True} if value == "restart" else {}


SIGNAL = Scalar((str, int), words.signal_name, {"type": ["string", "integer"]}, "a signal such as TERM or 15")
REACTION: Kind = Either(
    (
        Scalar((str,), _word_of_change, {"enum": ["nothing", "restart"]}),
        Record(
            "a reaction",
            {
                "signal": Field(SIGNAL, "Sent to the main process."),
                "exec": Field(ListOf(text(), least=1, most=10_000), "A program run inside the container."),
            },
            one_of=("signal", "exec"),
        ),
    ),
    "nothing, restart, {signal: NAME} or {exec: [..]}",
)

_FILES: dict[str, Field] = {
    "keys": Field(Keys(), "Which keys become files: a list, or key: path. Default: all, under their own names."),
    "optional": Field(flag(), "Without it the volume is empty.", default=False),
    "mode": Field(MODE, "Of every file, a string of octal digits.", default="0644"),
    "owner": Field(ID, "User id of every file. Default: root."),
    "group": Field(ID, "Group id of every file. Default: root."),
    "on_change": Field(REACTION, "What follows in each container that mounts it.", default="nothing"),
}
_FILES_FOREIGN = {"items": "keys", "defaultMode": "mode", "uid": "owner", "gid": "group"}


def files_source(what: str, *foreign: str) -> Record:
    """`{secret: NAME, keys: …}`, or nested: `{secret: {name: NAME, keys: …}}`."""
    name = Field(NAME_OF_INPUT, f"The {what}.", required=True)
    nested = Record(f"a {what}", {"name": name, **_FILES}, foreign={f"{what}Name": "name", **_FILES_FOREIGN})
    either = Either((NAME_OF_INPUT, nested), f"the name of a {what} or a mapping")
    doc = f"A {what}; its keys are files in memory."
    others = {**_FILES_FOREIGN, **dict.fromkeys(foreign, what)}
    return Record(f"a {what} source", {what: Field(either, doc, required=True), **_FILES}, foreign=others)
