"""The text of a config.pbtxt is changed where it has to change, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.config.pbtxt import WrittenConfig, parse_model_config
from pasarela_server.config.rewrite import rewrite
from pasarela_server.errors import InvalidModel

Change = Callable[[WrittenConfig], None]


def one_instance(config: WrittenConfig) -> None:
    config.ClearField("instance_group")
    config.instance_group.add(count=1)


def merge(config: WrittenConfig) -> None:
    config.dynamic_batching.SetInParent()


def no_merge(config: WrittenConfig) -> None:
    config.ClearField("dynamic_batching")


def larger(config: WrittenConfig) -> None:
    config.max_batch_size = 16


def precise(config: WrittenConfig) -> None:
    config.parameters["precision"].string_value = "f32"


def nothing(config: WrittenConfig) -> None:
    """Leaves it as it is."""


ROWS = [
    # change, before, after, reason
    (nothing, "# mine\nname: 'm'", "# mine\nname: 'm'", "what says the right thing already is not touched"),
    (one_instance, "", "instance_group { count: 1 }\n", "an empty text gets the field alone"),
    (
        one_instance,
        'backend: "openvino"  # fast',
        'backend: "openvino"  # fast\ninstance_group { count: 1 }\n',
        "a new field goes to the end, behind a line that had no end",
    ),
    (
        larger,
        "max_batch_size: 8  # rows\nname: 'm'\n",
        "max_batch_size: 16  # rows\nname: 'm'\n",
        "a comment behind the value stays",
    ),
    (larger, "max_batch_size:8 name:'m'", "max_batch_size: 16 name:'m'", "fields that share a line"),
    (larger, "max_batch_size: 8; name: 'm'", "max_batch_size: 16 name: 'm'", "a separator goes with its field"),
    (
        no_merge,
        "name: 'm'\ndynamic_batching {\n  preferred_batch_size: [4, 8]\n}\n# end\n",
        "name: 'm'\n# end\n",
        "a block goes with its lines",
    ),
    (no_merge, "dynamic_batching { } # why\n", " # why\n", "a comment on the line of a block that goes stays"),
    (
        one_instance,
        "instance_group { count: 1 }\nname: 'm'\ninstance_group { count: 2 }\n",
        "instance_group { count: 1 }\nname: 'm'\n",
        "of several groups one is left, at the place of the first",
    ),
    (
        one_instance,
        "instance_group: [ { count: 2 # } not the end\n } ]\nname: 'm'\n",
        "instance_group { count: 1 }\nname: 'm'\n",
        "a list of blocks, and a brace in a comment",
    ),
    (
        one_instance,
        "instance_group < count: 2 name: 'a } \\' b' >\n",
        "instance_group { count: 1 }\n",
        "angle brackets, and a brace in a text",
    ),
    (
        precise,
        (
            "parameters { key: 'a' value { string_value: 'b' } } # a\n"
            "parameters { key: 'precision' value { string_value: 'bf16' } }\n"
        ),
        (
            "parameters { key: 'a' value { string_value: 'b' } } # a\n"
            'parameters { key: "precision" value { string_value: "f32" } }\n'
        ),
        "of a map, only the entry that changes",
    ),
    (
        precise,
        "parameters: [{ key: 'a' value { string_value: 'b' } }, { key: 'precision' value { string_value: 'f16' } }]",
        (
            'parameters { key: "a" value { string_value: "b" } }\n'
            'parameters { key: "precision" value { string_value: "f32" } }'
        ),
        "entries that share a list with it are kept",
    ),
    (
        precise,
        "parameters { key: 'a' value { string_value: 'b' } }\n",
        (
            "parameters { key: 'a' value { string_value: 'b' } }\n"
            'parameters { key: "precision" value { string_value: "f32" } }\n'
        ),
        "an entry that is new",
    ),
    (
        merge,
        "default_model_filename: 'a' \"b\"\n  'c'\nversion_policy: { all { } }\n",
        "default_model_filename: 'a' \"b\"\n  'c'\nversion_policy: { all { } }\ndynamic_batching { }\n",
        "a text in several pieces is one value",
    ),
]


@pytest.mark.parametrize(("change", "before", "after", "reason"), ROWS, ids=[row[3] for row in ROWS])
def test_what_changes(change: Change, before: str, after: str, reason: str) -> None:
    wanted = parse_model_config(before, "m")
    change(wanted)

    written = rewrite(before, wanted, "m/config.pbtxt")

    assert written == after, reason
    assert parse_model_config(written, "m") == wanted


def test_a_text_that_cannot_be_parsed_is_refused() -> None:
    with pytest.raises(InvalidModel, match=r"m/config\.pbtxt, line 1"):
        rewrite("max_batch_size: ", WrittenConfig(), "m/config.pbtxt")


BLOCKS = [
    'name: "m"',
    "max_batch_size: 8",
    "max_batch_size : - 0",
    "instance_group { count: 2 }",
    "instance_group: [{count: 3 kind: KIND_CPU}, {name: '{'}]",
    "instance_group <gpus: [0]>",
    "dynamic_batching { preferred_batch_size: 4 preferred_batch_size: [8] }",
    "parameters { key: 'precision' value { string_value: 'bf16' } }",
    "parameters: { key: \"x\" value: { string_value: '#' '\\n' } }",
    "output [ { name: 'y' dims: [-1, 4] } ]",
]
SEPARATORS = ["\n", " ", "  # { note\n", "\n\n# max_batch_size: 3\n", " ;\n", ",\n"]
texts = st.lists(st.tuples(st.sampled_from(BLOCKS), st.sampled_from(SEPARATORS)), max_size=8).map(
    lambda parts: "# first\n" + "".join(block + separator for block, separator in parts)
)


def is_valid(text: str) -> bool:
    try:
        parse_model_config(text, "m")
    except InvalidModel:  # a field that may stand there once only
        return False
    return True


@settings(deadline=None)
@given(texts.filter(is_valid), st.lists(st.sampled_from([one_instance, merge, no_merge, larger, precise])))
def test_any_text_says_what_is_wanted_and_keeps_its_comments(text: str, changes: list[Change]) -> None:
    wanted = parse_model_config(text, "m")
    for change in changes:
        change(wanted)

    written = rewrite(text, wanted, "m")

    assert parse_model_config(written, "m") == wanted
    assert written.count("# first") == 1
    assert written.count("# max_batch_size: 3") == text.count("# max_batch_size: 3")
