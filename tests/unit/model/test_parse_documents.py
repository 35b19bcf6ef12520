"""Texts: several documents, three languages, places of faults, and what YAML 1.2 means."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tank.errors import InvalidSpec
from tank.model import yaml_text
from tank.model.document import Malformed
from tank.model.parse import Defaults, Format, parse_documents, parse_pod
from tank.model.yaml_text import read_yaml

WEB = "name: web\ncontainers: [{name: app, image: 'nginx:1'}]\n"


def told(text: bytes | str, language: Format = "yaml") -> list[str]:
    """Every fault of a text, as people see it."""
    with pytest.raises(InvalidSpec) as error:
        parse_documents(text, language, "f")
    return [str(problem) for problem in error.value.problems]


def values(text: str) -> list[Any]:
    """The documents of a YAML text as plain values."""
    return [tree.value for tree in read_yaml(text)]


SAME: list[tuple[str, Format]] = [
    (WEB, "yaml"),
    ("\ufeff" + WEB, "yaml"),
    ("---\n" + WEB + "...\n", "yaml"),
    ("# a pod\n---\n---\n" + WEB + "---\n", "yaml"),
    ("- name: web\n  containers: [{name: app, image: 'nginx:1'}]\n", "yaml"),
    ("pods:\n- name: web\n  containers: [{name: app, image: 'nginx:1'}]\n", "yaml"),
    ('{"name": "web", "containers": [{"name": "app", "image": "nginx:1"}]}', "yaml"),
    ('{\n\t"name": "web",\n\t"containers": [{"name": "app", "image": "nginx:1"}]\n}\n', "yaml"),
    ("{name: web, containers: [{name: app, image: 'nginx:1'}]}", "yaml"),
    ('[{"name": "web", "containers": [{"name": "app", "image": "nginx:1"}]}]', "json"),
    (' \n{"pods": [{"name": "web", "containers": [{"name": "\\u0061pp", "image": "nginx:1"}]}]}', "json"),
    ('name = "web"\n[[containers]]\nname = "app"\nimage = "nginx:1"\n', "toml"),
    ('[[pods]]\nname = "web"\n[[pods.containers]]\nname = "app"\nimage = "nginx:1"\n', "toml"),
    ("x: &a {name: app, image: 'nginx:1'}\n".replace("x: ", "name: web\ncontainers:\n- "), "yaml"),
]


@pytest.mark.parametrize(("text", "language"), SAME, ids=range(len(SAME)))
def test_every_language_says_the_same(text: str, language: Format) -> None:
    expected = parse_pod({"name": "web", "containers": [{"name": "app", "image": "nginx:1"}]})

    assert parse_documents(text, language) == parse_documents(text.encode(), language) == (expected,)


def test_several_documents_and_lists_become_several_pods_in_order() -> None:
    text = WEB + "---\n- {name: b, containers: [{name: a, image: x}]}\n- {name: c, containers: [{name: a, image: x}]}\n"

    assert [pod.name for pod in parse_documents(text, "yaml")] == ["web", "b", "c"]


def test_a_machine_can_have_a_grace_of_its_own() -> None:
    assert parse_documents(WEB, "yaml", defaults=Defaults(grace=3.0))[0].grace == 3.0


def test_a_pod_named_twice_is_refused_with_its_place() -> None:
    assert told(WEB + "---\n" + WEB) == ["f:4:7: name: another pod is called 'web' already"]


def test_faults_of_all_documents_are_told_at_once_in_the_order_of_the_text() -> None:
    text = "name: A\ncontainers: [{name: app, image: x, imag: 1}]\n---\nname: b\n---\n[{name: c, containers: 5}]\n"

    assert told(text) == [
        "f:1:7: name: 'A' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'a'?)",
        "f:2:36: containers[0].imag: unknown field of a container (did you mean 'image'?)",
        "f:4:1: containers: a pod needs this field",
        "f:6:24: [0].containers: expected a list, found a whole number",
    ]


def test_json_has_places_too() -> None:
    text = '{"name": "web",\n "containers": [{"name": "app",\n   "image": 5, "x": 1}]}'

    assert told(text, "json") == [
        "f:3:13: containers[0].image: expected an image reference or {rootfs: /path}, found a whole number",
        "f:3:16: containers[0].x: unknown field of a container",
    ]


def test_toml_has_paths() -> None:
    assert told('[[pods]]\nname = "web"\n[[pods.containers]]\nname = "app"\n', "toml") == [
        "f:pods[0].containers[0].image: a container needs this field"
    ]


FAULTS: list[tuple[bytes | str, Format, str]] = [
    ("", "yaml", "f:there is no pod in it"),
    ("---\n---\n", "yaml", "f:there is no pod in it"),
    ("[]", "json", "f:there is no pod in it"),
    ("pods: []", "yaml", "f:there is no pod in it"),
    ("null", "json", "f:1:1: expected a mapping (a pod), found nothing"),
    ("web", "yaml", "f:1:1: expected a mapping (a pod), found a string"),
    ("pods: 5", "yaml", "f:1:7: pods: expected a list of pods"),
    ("pods: [5]", "yaml", "f:1:8: pods[0]: expected a mapping (a pod), found a whole number"),
    (b"\xff\xfe", "yaml", "f:not UTF-8"),
    ("\ud800", "yaml", "f:not UTF-8"),
    ("x" * (2**20 + 1), "yaml", "f:longer than 1048576 bytes"),
    ("a: b: c", "yaml", "f:1:5: not YAML: mapping values are not allowed in this context"),
    ("a: [", "yaml", "f:2:1: not YAML: did not find expected node content"),
    ("a\0b", "yaml", "f:not YAML: unacceptable character #x0000"),
    ("name: web\nname: web", "yaml", "f:2:1: name: 'name' is given twice"),
    ("a: {b: 1, 'b': 2}", "yaml", "f:1:11: a.b: 'b' is given twice"),
    ("a: *b", "yaml", "f:1:4: a: the alias 'b' has no anchor before it"),
    ("a: &b [*b]", "yaml", "f:1:8: a[0]: the alias 'b' has no anchor before it"),
    ("a: !!python/object:os.system x", "yaml", "f:1:4: a: 'x' is not what its tag 'tag:yaml.org,2002:python/object:os.system' says"),
    ("a: !!python/object/apply:os.system [id]", "yaml", "f:1:4: a: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not supported"),
    ("a: !!set {b}", "yaml", "f:1:4: a: the tag 'tag:yaml.org,2002:set' is not supported"),
    ("a: !!int x", "yaml", "f:1:4: a: 'x' is not what its tag 'tag:yaml.org,2002:int' says"),
    ("? [a]\n: b", "yaml", "f:1:3: a field's name must be a string"),
    ("? {a: b}\n: b", "yaml", "f:1:3: a field's name must be a string"),
    ("[" * 40 + "]" * 40, "yaml", "f:1:34: " + "[0]" * 32 + ": nested deeper than 32 levels"),
    ("[" * 900, "yaml", "f:1:34: " + "[0]" * 32 + ": nested deeper than 32 levels"),
    ("[" * 500_000, "yaml", "f:1:"),  # newer versions of libyaml look ahead, and stop by themselves at a thousand
    ("[" * 500_000, "json", "f:1:34: " + "[0]" * 32 + ": nested deeper than 32 levels"),
    ("a: [" + "x," * 60_000 + "]", "yaml", "f:1:99999: holds more than 50000 values, aliases expanded"),
    ("[" + "1," * 60_000 + "1]", "json", "f:1:100000: holds more than 50000 values"),
    ('{"a": 1, "a": 2}', "json", "f:1:10: a: 'a' is given twice"),
    ("", "json", "f:1:1: not JSON: expected a value"),
    ("{", "json", "f:1:2: not JSON: expected a name in double quotes"),
    ("{a: 1}", "json", "f:1:2: not JSON: expected a name in double quotes"),
    ('{"a" 1}', "json", "f:1:6: not JSON: expected ':'"),
    ('{"a": 1 "b": 2}', "json", "f:1:9: not JSON: expected ',' or '}'"),
    ("[1 2]", "json", "f:1:4: not JSON: expected ',' or ']'"),
    ("[1,]", "json", "f:1:4: not JSON: expected a value"),
    ("[\n01]", "json", "f:2:2: not JSON: expected ',' or ']'"),
    ("{} {}", "json", "f:1:4: nothing may follow the document"),
    ('["a\nb"]', "json", "f:1:4: not JSON: invalid control character"),
    ('["a', "json", "f:1:2: not JSON: unterminated string starting"),
    ("[" + "1" * 65 + "]", "json", "f:1:2: a number is too long"),
    ("name = ", "toml", "f:not TOML: invalid value (at end of document)"),
    ("a = 1\na = 2", "toml", "f:not TOML: cannot overwrite a value (at "),
    ("a = " + "9" * 5000, "toml", "f:not TOML: exceeds the limit"),
    ("a = " + "[" * 200_000, "toml", "f:not TOML: "),
    (".".join("a" * 200_000) + " = 1", "toml", "f:a key has more than 32 steps"),
    ("[" + ".".join("a" * 200_000) + "]", "toml", "f:a key has more than 32 steps"),
    ("x = {" + " . ".join(["'a'", '"b"', "c"] * 20) + " = 1}", "toml", "f:a key has more than 32 steps"),
    ("apiVersion: v1\nkind: Pod", "yaml", "f:1:1: metadata.name: the metadata needs this field"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "language", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_a_text_that_cannot_be_read_says_why_and_where(text: bytes | str, language: Format, fault: str) -> None:
    assert told(text, language)[0].startswith(fault)


def test_nothing_may_stand_beside_pods() -> None:
    text = "pods:\n- {name: web, containers: [{name: app, image: x}]}\nname: y\n"

    assert told(text) == ["f:3:1: name: unknown field beside pods"]


def test_billions_of_laughs_are_counted_and_refused_s29() -> None:
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]

    assert told("\n".join(rows)) == ["f:5:30: holds more than 50000 values, aliases expanded"]


def test_an_alias_stands_for_its_anchor_and_a_fault_in_it_points_at_the_alias() -> None:
    text = "name: web\ncontainers:\n- &a {name: app, image: 5}\n- *a\n"

    assert [each.partition(" expected")[0] for each in told(text)] == [
        "f:3:25: containers[0].image:",
        "f:4:3: containers[1].image:",
        "f:4:3: containers[1].name: another container is called 'app' already",
    ]


def test_an_anchor_does_not_reach_into_the_next_document() -> None:
    with pytest.raises(Malformed):
        read_yaml("&a x\n---\n*a\n")


def loaders() -> list[Any]:
    """The reader that is used, which is in C where it can be, and the one in Python."""
    return [yaml_text.Loader, yaml.SafeLoader]


SCALARS: list[tuple[str, Any]] = [
    ("no", "no"),
    ("yes", "yes"),
    ("on", "on"),
    ("off", "off"),
    ("y", "y"),
    ("true", True),
    ("True", True),
    ("FALSE", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("'null'", "null"),
    ('"true"', "true"),
    ("0750", 750),
    ("0o750", 0o750),
    ("0x1F", 31),
    ("+12", 12),
    ("-12", -12),
    ("1_000", "1_000"),
    ("12:30", "12:30"),
    ("12:30:45", "12:30:45"),
    ("2026-01-01", "2026-01-01"),
    ("1.5", 1.5),
    ("1.", 1.0),
    (".5", 0.5),
    ("1e3", 1000.0),
    (".inf", float("inf")),
    ("-.inf", float("-inf")),
    ("1.27", 1.27),
    ("<<", "<<"),
    ("=", "="),
    ("!!str 5", "5"),
    ("! 5", "5"),
    ("!!int '5'", 5),
    ("!!float 5", 5.0),
    ("!!bool 'true'", True),
    ("!!null ''", None),
    ("9" * 41, 10**41 - 1),
    ("|\n  a\n  b\n", "a\nb\n"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: Any) -> None:
    assert values(f"a: {text}") == [{"a": value}]


def test_not_a_number_is_a_number_in_yaml_and_refused_by_every_field() -> None:
    assert values("a: .nan")[0]["a"] != values("a: .nan")[0]["a"]


def test_collections_may_bear_the_tags_of_their_kind() -> None:
    assert values("!!map {a: !!seq [1, ! [2]]}") == [{"a": [1, [2]]}]


def test_a_number_as_the_name_of_a_field_is_refused_with_its_place() -> None:
    assert told("name: web\ncontainers: []\n5: x\n")[1:] == [
        'f:3:1: ["5"]: a field\'s name must be a string, found a whole number (put it in quotes)'
    ]


def test_the_reader_written_in_python_builds_the_same_trees() -> None:
    text = "a: &x [1, 'b', {c: no}]\nb: *x\n---\n|\n text\n"

    built = [[(tree.value, tree.values, tree.keys) for tree in read_yaml(text, each)] for each in loaders()]

    assert built[0] == built[1]
