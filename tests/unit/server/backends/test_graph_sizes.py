import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.backends.graph_sizes import graph_sizes
from pasarela_server.errors import InvalidModel


@pytest.mark.parametrize(
    ("written", "max_rows", "sizes"),
    [
        # reason: a model that takes single images has one size
        (None, 1, (1,)),
        # reason: powers of two, the largest among them
        (None, 8, (1, 2, 4, 8)),
        # reason: a largest batch that is no power of two is recorded too
        (None, 6, (1, 2, 4, 6)),
        # reason: padding 33 rows to 64 would cost more than recording 48
        (None, 64, (1, 2, 4, 8, 16, 24, 32, 48, 64)),
        # reason: what is written counts, in any order
        ("8, 1,8", 8, (1, 8)),
        # reason: nothing is recorded
        ("Off", 8, ()),
    ],
)
def test_the_sizes(written, max_rows, sizes):
    assert graph_sizes(written, max_rows) == sizes


@pytest.mark.parametrize(
    ("written", "says"),
    [
        # reason: no number
        ("many", "expected off, or batch sizes as 1,8,32"),
        # reason: a hole in the list
        ("1,,8", "expected off"),
        # reason: no batch is that large, so it would never be used
        ("1,16", "holds 16; expected 1 to 8"),
        # reason: no batch is empty
        ("0", "holds 0; expected 1 to 8"),
    ],
)
def test_impossible_sizes_are_refused(written, says):
    with pytest.raises(InvalidModel, match=says):
        graph_sizes(written, 8)


@given(max_rows=st.integers(1, 1024), data=st.data())
def test_every_batch_is_padded_to_less_than_double(max_rows, data):
    sizes = graph_sizes(None, max_rows)
    rows = data.draw(st.integers(1, max_rows))
    assert sizes[-1] == max_rows
    assert min(size for size in sizes if size >= rows) < 2 * rows
