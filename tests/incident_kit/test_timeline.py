"""The figures of the post-mortem, from notes and the audit log."""

from __future__ import annotations

import msgspec

from pylon.ops.incident.record import Kind
from pylon.ops.incident.timeline import LEAD_UP_SECONDS, Tone, phases, timeline, window
from tests.incident_kit.story import AUDIT, EVENTS, INCIDENT, T, action, event

QUIET = msgspec.structs.replace(INCIDENT, closed_at=0.0)


def test_the_trouble_began_with_the_first_alarm() -> None:
    assert phases(INCIDENT, EVENTS, AUDIT).began == T - 8 * 60


def test_the_trouble_began_when_the_operator_says_it_did() -> None:
    told = msgspec.structs.replace(INCIDENT, began_at=T - 7200)
    assert phases(told, EVENTS, AUDIT).began == T - 7200


def test_a_note_of_an_earlier_time_moves_the_beginning() -> None:
    assert phases(QUIET, (event(-20, "first error in the log"),), ()).began == T - 1200


def test_detection_is_the_start_of_the_incident() -> None:
    found = phases(INCIDENT, EVENTS, AUDIT)
    assert found.detected == T
    assert found.to_detect() == 8 * 60


def test_the_first_response_is_a_decision_an_action_or_containment() -> None:
    assert phases(INCIDENT, EVENTS, AUDIT).to_respond() == 5 * 60
    assert phases(QUIET, (), (action(7, "sessions.purge"),)).to_respond() == 7 * 60
    assert phases(QUIET, (event(1, "look"),), (action(2, "backup.take"),)).to_respond() is None


def test_it_is_over_when_the_last_switch_and_alarm_are_off() -> None:
    found = phases(INCIDENT, EVENTS, AUDIT)
    assert found.recovered == T + 25 * 60
    assert found.to_recover() == (25 + 8) * 60
    assert found.standing == ()


def test_it_is_not_over_while_a_switch_is_on() -> None:
    found = phases(INCIDENT, (), (action(6, "switch.on", target="read-only"),))
    assert found.recovered == 0
    assert found.standing == ("switch read-only",)


def test_without_switches_and_alarms_it_is_over_when_it_is_closed() -> None:
    assert phases(INCIDENT, (), ()).recovered == INCIDENT.closed_at


def test_deploys_before_the_trouble_are_part_of_the_story() -> None:
    since, until = window(INCIDENT, EVENTS, T + 9_999)
    assert since == T - LEAD_UP_SECONDS
    assert until == INCIDENT.closed_at
    started = timeline(INCIDENT, EVENTS, AUDIT)[0]
    assert (started.label, started.tone) == ("server started", Tone.CHANGE)


def test_what_the_incident_itself_recorded_is_told_once() -> None:
    labels = [moment.label for moment in timeline(INCIDENT, EVENTS, AUDIT)]
    assert labels.count("incident started") == 1
    assert "incident.start" not in labels


def test_rows_that_were_written_are_no_part_of_the_timeline() -> None:
    write = msgspec.structs.replace(action(1, "insert"), kind="write", entity="Note")
    assert [moment.label for moment in timeline(QUIET, (), (write,))] == ["incident started"]


def test_moments_are_in_order_of_time() -> None:
    times = [moment.at for moment in timeline(INCIDENT, EVENTS, AUDIT)]
    assert times == sorted(times)


def test_a_note_written_down_later_says_so() -> None:
    late = msgspec.structs.replace(event(1, "errors began"), recorded_at=T + 660)
    text = timeline(QUIET, (late,), ())[1].text
    assert text == "errors began (written down 10 min later)"


def test_a_switch_is_named_by_what_it_stops() -> None:
    [moment] = [m for m in timeline(INCIDENT, (), AUDIT) if m.label == "switch on"]
    assert moment.text == "entity Import (writes): runaway import"
    assert moment.who == "operator from 10.0.0.7"


def test_steps_of_a_playbook_are_shown_with_their_outcome() -> None:
    step = event(3, "42 sessions ended", Kind.ACTION, step="purge-sessions", outcome="done")
    moment = timeline(QUIET, (step,), ())[1]
    assert (moment.label, moment.tone) == ("playbook: purge-sessions", Tone.REMEDY)
