"""YAML as the field writes it, and nothing that could harm."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vitrine.study.yaml_reader import MOST_VALUES, read_yaml, words_of, write_yaml

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30) | st.sampled_from(
    [
        "1e13",
        "0042",
        "0o17",
        "1:30",
        "No",
        "yes",
        "~",
        "null",
        "<<",
        "=",
        "2026-11-20",
        ".5",
        "- a",
        "# a",
        "a: b",
    ]
)


@given(title=texts, row=texts, value=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_survives_yaml(title: str, row: str, value: float) -> None:
    data = {"title": title, "rows": {row: {"mae": value}}, "list": [title, [row], value]}
    assert read_yaml(write_yaml(data)) == data


def test_numbers_and_words_mean_what_the_field_means() -> None:
    given_ = "[1e13, 1.0e-4, -2E+3, 0042, 1_000, 0x1F, .5, 5., No, yes, 1:30, 2026-11-20, true, ~, .inf]"
    meant = [1e13, 1e-4, -2000.0, 42, 1000, 31, 0.5, 5.0, "No", "yes", "1:30", "2026-11-20", True, None]
    found = read_yaml(given_)
    assert found[:-1] == meant and found[-1] == float("inf")
    assert [type(x) for x in found[:4]] == [float, float, float, int]


def test_anchors_are_understood_and_nothing_is_shared() -> None:
    found = read_yaml("base: &b {n: 1, list: [1]}\ncopy: *b\nmore: {<<: *b, n: 2}\n")
    assert found["more"] == {"n": 2, "list": [1]}
    found["copy"]["list"].append(2)
    assert found["base"]["list"] == found["more"]["list"] == [1]


def bomb() -> str:
    """Nine anchors of nine aliases each: 387 million values from 300 characters."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]")
    return "\n".join(lines)


def merging_bomb() -> str:
    """The same by merge keys, whose pairs PyYAML copies before it drops the equal ones."""
    lines = ["a: &a {k: 1}"]
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 9)}]}}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("study: a\nstudy: b\n", "key 'study' stands twice (line 2)"),
        ("models: {gat: {kind: gat}, gat: {kind: gat}}", "key 'gat' stands twice"),
        ("study: [1\n", "expected ',' or ']'"),
        ("study: a\n---\nstudy: b\n", "another document"),
        ("study: \x01", "unacceptable character"),
        ("study: !!python/object/apply:os.system ['true']", "is not of plain data"),
        ("study: !!python/object:vitrine.errors.DataError {}", "is not of plain data"),
        ("study: !!python/name:os.system", "is not of plain data"),
        ("study: !own x", "the tag '!own' is not of plain data"),
        ("study: !!set {a, b}", "is not of plain data"),
        ("study: !!float word", "not what its tag says"),
        ("a: &a [*a]", "an alias inside its own anchor"),
        ("a: &a {<<: *a}", "an alias inside its own anchor"),
        ("a: *nowhere", "undefined alias"),
        (bomb(), f"holds more than {MOST_VALUES} values"),
        (merging_bomb(), f"holds more than {MOST_VALUES} values"),
        ("[" * 5000, "nested more than"),
        ("{a: " * 5000, "nested more than"),
        ("- " * 5000, "nested more than"),
        ("? [1]\n: 2", "unhashable"),
        ("n: " + "9" * 5000, "is not a whole number"),
    ],
    ids=lambda text: repr(text[:24]),
)  # fmt: skip
def test_what_is_refused_is_said_in_one_line(text: str, words: str) -> None:
    with pytest.raises(yaml.YAMLError) as error:
        read_yaml(text)
    assert words in words_of(error.value) and "\n" not in words_of(error.value)


def test_nothing_is_run() -> None:
    """What a tag of Python would run leaves no trace."""
    ran: list[int] = []
    pytest.ran_by_yaml = ran.append  # type: ignore[attr-defined]
    try:
        for tag in ("object/apply", "object/new", "object"):
            with pytest.raises(yaml.YAMLError):
                read_yaml(f"!!python/{tag}:pytest.ran_by_yaml [1]")
        assert ran == []
    finally:
        del pytest.ran_by_yaml  # type: ignore[attr-defined]
