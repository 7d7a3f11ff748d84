"""The rules by which the story's examples are made stable."""

import datetime

import pytest
import story_steps
from story_normal import Normal, now

EIGHT = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.timezone.utc)
FIRST, SECOND = "0199a111-0000-7abc-8def-000000000001", "0199a111-0000-7abc-8def-000000000002"


@pytest.fixture
def normal():
    normal = Normal({"http://127.0.0.1:20001": "https://hooks.nordlicht.example"})
    normal.move_clock(EIGHT)
    return normal


def text(time):
    return time.isoformat().replace("+00:00", "Z")


def test_a_time_of_the_run_is_the_time_on_the_clock_of_the_story(normal):
    before = text(now())
    normal.marks[-1] = (now() - datetime.timedelta(seconds=5), EIGHT)
    normal.move_clock(EIGHT.replace(hour=9))
    assert normal.text(text(now())) == "2026-03-02T09:00:00Z"
    assert normal.text(before) == "2026-03-02T08:00:00Z"


@pytest.mark.parametrize("distance, shown", [
    ({"hours": 1}, "2026-03-02T09:00:00Z"),
    ({"days": 7}, "2026-03-09T08:00:00Z"),
    ({"days": -1}, "2026-03-01T08:00:00Z"),
    # A certificate that was made a minute ago.
    ({"days": 365, "minutes": -1}, "2027-03-02T08:00:00Z"),
])
def test_a_time_ahead_or_long_before_keeps_its_distance(normal, distance, shown):
    assert normal.text(text(now() + datetime.timedelta(**distance))) == shown


def test_times_of_the_story_itself_stay(normal):
    assert normal.text("2026-03-02T09:29:58.412337123Z") == "2026-03-02T09:29:58.412337123Z"


def test_identifiers_are_numbered_as_they_come(normal):
    shown = normal.value([SECOND, FIRST, SECOND])
    assert shown[0] == shown[2] != shown[1]
    assert shown[0].endswith("000000000001") and shown[1].endswith("000000000002")
    # Samples of network servers are of other versions and stay.
    assert normal.text("57433366-50a6-4dc2-8145-2df1bbc70d9e") == "57433366-50a6-4dc2-8145-2df1bbc70d9e"


def test_tokens_are_withheld_from_answers_alone(normal):
    assert normal.answer({"key": "thk_h_x9"}) == {"key": f"thk_{'A' * 36}EXAMPLE="}
    assert normal.answer({"ingest_key": "h_x9"}) == {"ingest_key": f"{'A' * 36}EXAMPLE="}
    assert normal.value({"token": "EXAMPLE-token"}) == {"token": "EXAMPLE-token"}


def test_figures_and_addresses_have_one_value(normal):
    found = normal.value({"duration_ms": 3, "next_cursor": None, "url": "http://127.0.0.1:20001/uplinks"})
    assert found == {"duration_ms": 42, "next_cursor": None, "url": "https://hooks.nordlicht.example/uplinks"}


def test_placeholders_keep_the_type_of_their_value():
    values = story_steps.Values({"device": {"id": 7, "list": [{"name": "a"}]}})
    assert values.fill({"id": "${device.id}", "text": "no. ${device.id}", "name": "${device.list.0.name}"}) \
        == {"id": 7, "text": "no. 7", "name": "a"}
    with pytest.raises(KeyError):
        values.fill("${nobody.id}")


def test_the_story_can_be_read():
    steps = story_steps.read()
    assert any(step.example for step in steps) and any(step.until for step in steps)
