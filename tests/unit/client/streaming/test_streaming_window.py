"""What becomes of each frame, told as small stories."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pasarela_client import DeadlineExpired, FrameError, InvalidRequest, ServerFailure, ServerUnreachable
from pasarela_client.streaming.window import REMEMBERED
from tests.unit.client.streaming.windows import FULL, GONE, Story


def answers_in_another_order(story: Story) -> None:
    story.pull(3)
    story.send()
    story.answer(2, 0)
    assert story.take() == ["0 done"]
    story.answer(1)


def one_cannot_be_sent(story: Story) -> None:
    story.pull(1)
    sending = story.window.send(story.call)
    assert sending
    story.window.refuse(sending, InvalidRequest("no image"))
    story.pull(1)
    story.send()
    story.answer(1)


def one_fails_on_the_server(story: Story) -> None:
    story.pull(2)
    story.send()
    story.fail(0, InvalidRequest("cut short"))
    story.answer(1)


def the_window_is_full(story: Story) -> None:
    story.pull(3)
    assert not story.window.has_room()
    assert story.send() == [0, 1, 2]
    story.answer(0, 1, 2)
    assert not story.window.has_room(), "results that nobody took fill it, too"
    assert story.take() == ["0 done", "1 done", "2 done"]
    story.pull(1)
    story.send()
    story.answer(3)


def a_break_sends_again(story: Story) -> None:
    story.pull(3)
    assert story.send() == [0, 1, 2]
    story.answer(0)
    story.break_call()
    assert story.send() == [1, 2]
    story.answer(1, 2)


def what_is_under_way_at_two_breaks_travels_alone(story: Story) -> None:
    story.pull(3)
    for _ in range(2):
        assert story.send() == [0, 1, 2]
        story.break_call()
    assert story.send() == [0]
    story.answer(0)
    assert story.send() == [1]
    story.break_call()
    assert story.send() == [2], "frame 1 broke three calls, and frame 2 only two"
    story.answer(2)


def a_full_queue_halves_the_pace(story: Story) -> None:
    story.pull(3)
    story.send()
    for index in (0, 1, 2):
        story.fail(index, FULL)
    assert story.send() == [], "not at once"
    assert story.window.pause_s == pytest.approx(0.05)
    story.clock.now_s += 0.05
    assert story.send() == [0], "half of three, once for all three"
    story.answer(0)
    assert story.send() == [1, 2], "one answer at a limit of 1.5 makes it two"
    story.answer(1, 2)


def a_full_queue_is_not_tried_for_ever(story: Story) -> None:
    story.pull(1)
    story.send()
    story.fail(0, FULL)
    story.clock.now_s += 29.9
    assert story.send() == [0]
    story.clock.now_s += 0.1
    story.fail(0, FULL)


def a_model_that_is_replaced_is_tried_again(story: Story) -> None:
    story.pull(1)
    story.send()
    story.fail(0, GONE)
    story.clock.now_s += 1
    assert story.send() == [0]
    story.answer(0)


def expired_before_it_was_sent(story: Story) -> None:
    story.pull(2)
    story.clock.now_s += 5
    assert story.send() == []


def expired_under_way(story: Story) -> None:
    story.pull(2)
    assert story.send() == [0, 1]
    assert story.window.changes_in_s == 5
    story.clock.now_s += 5
    assert story.take() == ["0 DeadlineExpired", "1 DeadlineExpired"]
    story.pull(1)
    assert not story.window.has_room(), "the server still owes two answers"
    story.answer(0, 1)
    story.send()
    story.answer(2)


def an_answer_after_the_deadline_is_none(story: Story) -> None:
    story.pull(2)
    story.send()
    story.answer(1)
    story.clock.now_s += 5
    story.answer(0)


def the_end_loses_what_has_no_answer(story: Story) -> None:
    story.pull(3)
    story.send()
    story.answer(1)
    story.window.fail(ServerFailure("broken"))


STORIES = [
    # story, rules, what comes out at its end, counts
    pytest.param(
        answers_in_another_order, {}, ["1 done", "2 done"], "3 of 3 done",
        id="reason: results come in the order of the frames, whatever the order of the answers",
    ),
    pytest.param(
        one_cannot_be_sent, {}, ["0 InvalidRequest", "1 done"], "1 of 2 done, 1 failed",
        id="reason: what cannot be sent fails in its place",
    ),
    pytest.param(
        one_fails_on_the_server, {}, ["0 InvalidRequest", "1 done"], "1 of 2 done, 1 failed",
        id="reason: an error for one frame is a value",
    ),
    pytest.param(
        the_window_is_full, {"window": 3}, ["3 done"], "4 of 4 done",
        id="reason: the source is pulled only when there is room, also where the user is slow",
    ),
    pytest.param(
        a_break_sends_again, {}, ["0 done", "1 done", "2 done"], "3 of 3 done, 2 sent again, 1 reconnects",
        id="reason: detection is idempotent",
    ),
    pytest.param(
        what_is_under_way_at_two_breaks_travels_alone, {},
        ["0 done", "1 ServerUnreachable", "2 done"], "2 of 3 done, 1 lost, 6 sent again, 3 reconnects",
        id="reason: one frame may be what breaks the server, and its neighbours are to live",
    ),
    pytest.param(
        a_full_queue_halves_the_pace, {"window": 3}, ["0 done", "1 done", "2 done"], "3 of 3 done, 3 sent again",
        id="reason: a full queue is never asked again at once, and by fewer frames at a time",
    ),
    pytest.param(
        a_full_queue_is_not_tried_for_ever, {"timeout_s": 30.0}, ["0 QueueFull"], "0 of 1 done, 1 failed, 1 sent again",
        id="reason: without a deadline timeout_s limits how long a full queue is tried",
    ),
    pytest.param(
        a_model_that_is_replaced_is_tried_again, {}, ["0 done"], "1 of 1 done, 1 sent again",
        id="reason: a version that is unloaded refuses frames for a moment, the next one takes them",
    ),
    pytest.param(
        a_full_queue_is_not_tried_for_ever, {"deadline_s": 29.95}, ["0 DeadlineExpired"],
        "0 of 1 done, 1 failed, 1 sent again",
        id="reason: with a deadline, that limits it",
    ),
    pytest.param(
        expired_before_it_was_sent, {"deadline_s": 5.0}, ["0 DeadlineExpired", "1 DeadlineExpired"],
        "0 of 2 done, 2 failed",
        id="reason: what nobody wants any more is not sent",
    ),
    pytest.param(
        expired_under_way, {"deadline_s": 5.0, "window": 3}, ["2 done"], "1 of 3 done, 2 failed",
        id="reason: an expired frame comes out at once, and its credit comes back with its answer",
    ),
    pytest.param(
        an_answer_after_the_deadline_is_none, {"deadline_s": 5.0}, ["0 DeadlineExpired", "1 done"],
        "1 of 2 done, 1 failed",
        id="reason: a late answer is ignored, one that waits for its turn is not",
    ),
    pytest.param(
        the_end_loses_what_has_no_answer, {}, ["0 ServerFailure", "1 done", "2 ServerFailure"], "1 of 3 done, 2 lost",
        id="reason: all frames come out before the error that ends the stream",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tell", "rules", "taken", "counts"), STORIES)
def test_block(tell: Callable[[Story], None], rules: dict[str, float], taken: list[str], counts: str) -> None:
    story = Story(**rules)
    tell(story)
    assert story.take() == taken
    assert str(story.window.counts) == counts
    assert (story.window.held, story.window.in_flight, story.window.lag_frames) == (0, 0, 0)


def older_ones_make_room(story: Story) -> None:
    story.pull(2)
    assert story.send() == [0, 1]
    story.pull(4)
    story.answer(0)
    assert story.take() == ["0 done"]
    assert story.send() == [5]
    story.answer(1, 5)


def a_buffer_keeps_more(story: Story) -> None:
    story.pull(2)
    story.send()
    story.pull(4)
    story.answer(0, 1)
    assert story.take() == ["0 done", "1 done", "2 FrameDropped"]
    assert story.send() == [3, 4]
    story.answer(3, 4)
    story.take()
    story.send()
    story.answer(5)


def nothing_is_dropped_while_there_is_room(story: Story) -> None:
    story.pull(3)
    assert story.send() == [0, 1], "two go, and one may wait"
    story.answer(0, 1)
    assert story.take() == ["0 done", "1 done"]
    story.send()
    story.answer(2)


def a_break_loses_what_is_under_way(story: Story) -> None:
    story.pull(2)
    story.send()
    story.answer(0)
    story.pull(1)
    story.break_call()
    assert story.take() == ["0 done", "1 ServerUnreachable"]
    assert story.send() == [2]
    story.answer(2)


def without_a_connection_only_the_newest_waits(story: Story) -> None:
    story.window.break_call(GONE)
    story.pull(5)
    story.call = story.window.begin_call()
    assert story.send() == [4]
    story.answer(4)


def a_full_queue_fails_the_frame(story: Story) -> None:
    story.pull(1)
    story.send()
    story.fail(0, FULL)
    story.pull(3)
    assert story.send() == [], "the next frame is not sent at once either"
    story.clock.now_s += 0.05
    assert story.send() == [3]
    story.answer(3)


def a_user_who_takes_nothing(story: Story) -> None:
    story.pull(2)
    story.send()
    story.answer(0, 1)
    story.pull(50)
    assert story.send() == [], "results that nobody took keep their credits"
    assert story.window.held == 3
    assert story.take()[:3] == ["0 done", "1 done", "2 FrameDropped"]
    assert story.send() == [51]
    story.answer(51)


def what_waits_expires_in_its_turn(story: Story) -> None:
    story.pull(2)
    story.send()
    story.pull(1)
    story.clock.now_s += 5


LIVE_STORIES = [
    pytest.param(
        older_ones_make_room, {}, ["1 done", "2 FrameDropped", "3 FrameDropped", "4 FrameDropped", "5 done"],
        "3 of 6 done, 3 dropped",
        id="reason: of frames that wait for a credit only the newest stays",
    ),
    pytest.param(
        a_buffer_keeps_more, {"buffer": 3}, ["5 done"], "5 of 6 done, 1 dropped",
        id="reason: the buffer says how many stay",
    ),
    pytest.param(
        nothing_is_dropped_while_there_is_room, {}, ["2 done"], "3 of 3 done",
        id="reason: a frame that has a credit waits for none, even if it is not sent yet",
    ),
    pytest.param(
        a_break_loses_what_is_under_way, {}, ["2 done"], "2 of 3 done, 1 lost, 1 reconnects",
        id="reason: what is old when the connection is back interests nobody",
    ),
    pytest.param(
        without_a_connection_only_the_newest_waits, {},
        ["0 FrameDropped", "1 FrameDropped", "2 FrameDropped", "3 FrameDropped", "4 done"],
        "1 of 5 done, 4 dropped, 1 reconnects",
        id="reason: the source goes on while the server is away",
    ),
    pytest.param(
        a_full_queue_fails_the_frame, {}, ["0 QueueFull", "1 FrameDropped", "2 FrameDropped", "3 done"],
        "1 of 4 done, 1 failed, 2 dropped",
        id="reason: a newer frame is worth more than the same one again",
    ),
    pytest.param(
        a_user_who_takes_nothing, {}, ["51 done"], "3 of 52 done, 49 dropped",
        id="reason: memory is bounded by window and buffer, however slow the user is",
    ),
    pytest.param(
        what_waits_expires_in_its_turn, {"deadline_s": 5.0},
        ["0 DeadlineExpired", "1 DeadlineExpired", "2 DeadlineExpired"], "0 of 3 done, 3 failed",
        id="reason: a deadline holds for waiting frames, too",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tell", "rules", "taken", "counts"), LIVE_STORIES)
def test_drop_oldest(tell: Callable[[Story], None], rules: dict[str, float], taken: list[str], counts: str) -> None:
    story = Story(**({"policy": "drop-oldest", "window": 2} | rules))
    tell(story)
    assert story.take() == taken
    assert str(story.window.counts) == counts
    assert (story.window.held, story.window.lag_frames) == (0, 0)


def test_what_is_dropped_is_known_by_origin_and_time() -> None:
    story = Story(policy="drop-oldest", window=1)
    story.pull(1)
    story.send()
    story.answer(0)
    story.pull(2 + REMEMBERED)
    assert story.window.take() is not None
    first, *_, last = [story.window.take() for _ in range(REMEMBERED + 1)]
    assert isinstance(first, FrameError)
    assert (first.frame_index, first.origin, first.timestamp_s, first.image) == (1, "frame 1", 1.0, None)
    assert isinstance(last, FrameError)
    assert (last.frame_index, last.origin, last.timestamp_s) == (REMEMBERED + 1, "", None)


def test_the_errors_of_frames_say_model_and_request() -> None:
    story = Story(deadline_s=1.0)
    story.pull(1)
    story.send()
    story.clock.now_s += 1
    result = story.window.take()
    assert isinstance(result, FrameError)
    assert isinstance(result.error, DeadlineExpired)
    assert (result.error.model, result.error.request_id, result.origin) == ("m", "s-0", "frame 0")
    assert "1 s" in str(result.error)


@pytest.mark.parametrize("index", [0, 1, 7], ids=["answered already", "not sent", "none of this stream"])
def test_an_answer_that_is_not_owed_is_the_servers_failure(index: int) -> None:
    story = Story(window=1)
    story.pull(1)
    story.send()
    story.answer(0)
    with pytest.raises(ServerFailure, match=f"frame {index}"):
        story.answer(index)


def test_a_lost_frame_tells_why_it_is_not_tried_again() -> None:
    story = Story()
    story.pull(1)
    for _ in range(3):
        story.send()
        story.break_call()
    result = story.window.take()
    assert isinstance(result, FrameError)
    assert isinstance(result.error, ServerUnreachable)
    assert "when 3 calls broke" in str(result.error)
    assert result.error.__cause__ is GONE


def test_requests_carry_what_is_left_of_the_deadline() -> None:
    story = Story(deadline_s=2.0)
    story.pull(1)
    story.clock.now_s += 0.5
    sending = story.window.send(story.call)
    assert sending
    assert (sending.index, sending.remaining_s) == (0, 1.5)


def test_silence_counts_only_while_an_answer_is_owed() -> None:
    story = Story(timeout_s=10.0)
    story.pull(2)
    story.clock.now_s += 100
    assert not story.window.is_silent
    assert story.window.changes_in_s == 10, "a frame that is sent right now"
    story.send()
    story.clock.now_s += 9
    story.answer(0)
    story.clock.now_s += 9
    assert not story.window.is_silent, "it spoke 9 s ago"
    assert story.window.changes_in_s == 1
    story.clock.now_s += 1
    assert story.window.is_silent
    story.answer(1)
    assert not story.window.is_silent


def test_a_server_that_was_never_reached_costs_no_frame() -> None:
    story = Story(policy="drop-oldest", window=2)
    story.pull(2)
    story.send()
    story.window.take_back()
    story.call = story.window.begin_call()
    assert story.send() == [1], "the older one made room: nothing could be sent for a while"
    story.answer(1)
    assert story.take() == ["0 FrameDropped", "1 done"]
    assert (story.window.counts.sent, story.window.counts.resent, story.window.counts.reconnects) == (1, 0, 0)


def test_the_call_closes_when_the_last_frame_is_sent_and_opens_again_for_one_that_was_refused() -> None:
    story = Story()
    story.pull(1)
    assert story.window.may_send_more(story.call)
    story.send()
    story.window.end()
    assert not story.window.may_send_more(story.call)
    story.fail(0, FULL)
    assert story.window.needs_another_call
    call = story.window.begin_call()
    assert story.window.may_send_more(call)
    assert not story.window.may_send_more(story.call)
    story.clock.now_s += 1
    assert story.send() == [], "the call before is over"
    story.call = call
    assert story.send() == [0]
    story.answer(0)
    assert story.take() == ["0 done"]
    assert story.window.is_over
    assert story.window.counts.reconnects == 0


def test_leaving_loses_what_is_open_and_keeps_the_sum() -> None:
    story = Story()
    story.pull(3)
    story.send()
    story.answer(1)
    story.window.abandon()
    assert story.window.is_over
    assert str(story.window.counts) == "1 of 3 done, 2 lost"
    assert (story.take(), story.window.held, story.window.has_room()) == ([], 0, False)


def test_lag_is_told_in_frames_and_seconds() -> None:
    story = Story()
    assert (story.window.lag_frames, story.window.lag_s) == (0, 0.0)
    story.pull(1)
    story.clock.now_s += 2
    story.pull(1)
    assert (story.window.lag_frames, story.window.lag_s) == (2, 2.0)
