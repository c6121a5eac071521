"""The wire between the processes: what goes in comes out, whatever the pieces, and garbage is refused."""

import struct
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.frontends import link
from pasarela_server.frontends.link import Frames, Submit, decode, encode
from pasarela_server.processes.framing import BrokenLink

NUMBERS = {"B": st.integers(0, 255), "I": st.integers(0, 2**32 - 1), "i": st.integers(-(2**31), 2**31 - 1), "Q": st.integers(0, 2**64 - 1), "d": st.floats(allow_nan=False)}  # fmt: skip

LETTERS = "az09 _-./\x00é世🧥"
"""Of one to four bytes each."""


def messages_of(number):
    kind, formats = link._KINDS[number]
    hints = typing.get_type_hints(kind)
    texts = [
        st.binary(max_size=40) if hints[name] is bytes else st.text(LETTERS, max_size=20)
        for name in kind._fields[len(formats) :]
    ]
    return st.builds(kind, *(NUMBERS[letter] for letter in formats), *texts)


MESSAGES = st.one_of([messages_of(number) for number in range(len(link._KINDS))])


def same(one, other):
    return type(one) is type(other) and one == other


@given(st.lists(MESSAGES, max_size=6), st.data())
def test_messages_come_out_as_they_went_in_however_the_bytes_are_cut(messages, data):
    stream = b"".join(map(encode, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    frames = Frames()
    found = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += frames.feed(stream[start:stop])
    assert len(found) == len(messages)
    assert all(map(same, found, messages))


@given(MESSAGES, st.data())
def test_a_body_that_is_cut_short_is_refused(message, data):
    frame = encode(message)
    number, body = frame[4], frame[5:]
    if body:
        with pytest.raises(BrokenLink):
            decode(number, body[: data.draw(st.integers(0, len(body) - 1))])


@given(MESSAGES, st.binary(min_size=1, max_size=9))
def test_a_body_with_bytes_left_over_is_refused(message, more):
    frame = encode(message)
    with pytest.raises(BrokenLink, match="left over"):
        decode(frame[4], frame[5:] + more)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waits_for_more(garbage):
    frames = Frames()
    try:
        found = list(frames.feed(garbage))
    except BrokenLink:
        return
    assert sum(len(encode(message)) for message in found) <= len(garbage)


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        # reason: such a length would have the reader wait for ever, and hoard
        pytest.param(struct.pack("<IB", 2**31, 0), "at most", id="a frame that is too long"),
        # reason: a kind of another make
        pytest.param(struct.pack("<IB", 0, 250), "kind", id="an unknown kind"),
        # reason: names of models are text
        pytest.param(struct.pack("<IBI", 6, 1, 2) + b"\xff\xfe", "CannotListen", id="text that is no UTF-8"),
    ],
)
def test_a_broken_stream_says_what_is_wrong(stream, text):
    with pytest.raises(BrokenLink, match=text):
        list(Frames().feed(stream))


def test_a_field_beyond_its_place_is_refused_before_anything_is_sent():
    with pytest.raises(ValueError, match="Submit"):
        encode(Submit(2**32, 0, 0, 0, 1, 0, 0, 0.0, "m", "", "", "", ""))
