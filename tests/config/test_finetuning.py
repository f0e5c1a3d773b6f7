"""Parts of a model by name, and a source by directory and step."""

from __future__ import annotations

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.finetuning import Parts, holds, parse_parts, parse_source, part_problems

PATHS = [
    "embedding/table",
    "embedding_norm/scale",
    "stack/blocks/attention/qkv/kernel",
    "stack/blocks/attention/out/bias",
    "stack/blocks/attention_norm/scale",
    "head/Dense_0/kernel",
]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("embedding", {0}),
        ("embedding/table", {0}),
        ("embedding*", {0, 1}),
        ("stack/blocks/attention", {2, 3}),
        ("stack", {2, 3, 4}),
        ("*/bias", {3}),
        ("stack/*/kernel", {2}),
        ("*kernel", {2, 5}),
        ("*/attention", {2, 3}),
        ("blocks", set()),
        ("*", set(range(6))),
    ],
)
def test_a_part_holds_what_is_below_it(part: str, expected: set[int]) -> None:
    assert {n for n, path in enumerate(PATHS) if holds(part, path)} == expected


def test_the_most_specific_part_wins_and_of_equal_ones_the_last() -> None:
    text = "stack=2, */bias=7, stack/blocks/attention=0.5, *out=3, head=4, *head=5"
    parts = parse_parts("stack/blocks/attention/out, embedding", text)
    assert [parts.scale(path) for path in PATHS] == [1.0, 1.0, 0.5, 0.5, 2.0, 5.0]
    assert [parts.is_frozen(path) for path in PATHS] == [True, False, False, True, False, False]
    assert parse_parts(None, None) == Parts()


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (
            Parts(("embeding",)),
            "optimizer.frozen: no parameter is called 'embeding'; "
            "did you mean 'embedding' or 'embedding_norm' or 'embedding/table'?",
        ),
        (
            Parts((), {"qkv": 2.0}),
            "optimizer.lr_scales: no parameter is called 'qkv'; "
            "did you mean 'stack/blocks/attention/qkv'?",
        ),
        (Parts(("zzz",)), "'zzz'; parts are: embedding, embedding_norm, stack, head"),
        (Parts(("head", "e*", "stack")), "optimizer.frozen=head,e*,stack: leaves nothing to train"),
    ],
)
def test_a_name_that_no_parameter_has(parts: Parts, line: str) -> None:
    with pytest.raises(UserError) as caught:
        parts.check(PATHS)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    Parts(("head", "*bias"), {"stack": 2.0}).check(PATHS)


@pytest.mark.parametrize(
    ("field", "text", "line"),
    [
        ("frozen", "", "'' must be a path of parameters"),
        ("frozen", "head,,stack", "'' must be a path"),
        ("frozen", "head/", "'head/' must be a path"),
        ("frozen", "head embedding", "a comma separates parts"),
        ("frozen", "head,head", "'head' is given twice"),
        ("lr_scales", "head", "'head' must be PART=FACTOR"),
        ("lr_scales", "head=0", "'0' of head must be a number above 0; use optimizer.frozen"),
        ("lr_scales", "head=inf", "'inf' of head must be a number"),
        ("lr_scales", "head=x", "'x' of head must be a number"),
        ("lr_scales", "head=1,head=2", "'head' is given twice"),
    ],
)
def test_syntax(field: str, text: str, line: str) -> None:
    fields = (text, None) if field == "frozen" else (None, text)
    ((named, found), *_) = part_problems(*fields)
    assert named == field
    assert line in found
    with pytest.raises(ValueError, match=f"optimizer.{field}"):
        parse_parts(*fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runs/a", ("runs/a", "best")),
        ("runs/a@latest", ("runs/a", "latest")),
        ("runs/a@012", ("runs/a", "12")),
        ("runs@home/a", ("runs@home/a", "best")),
        ("a@b@7", ("a@b", "7")),
    ],
)
def test_a_source_is_a_directory_and_a_step(text: str, expected: tuple[str, str]) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize("text", ["", "@best", "runs/a@bst", "runs/a@-1", "runs/a@"])
def test_a_source_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match="must be"):
        parse_source(text)
