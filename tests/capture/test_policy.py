from __future__ import annotations

from capture.policy import RecordingPolicy
from capture.recording.facts import KeepRule, SessionFacts


def test_a_session_s_own_tags_win_and_name_its_conversation() -> None:
    policy = RecordingPolicy(tags={"team": "voice", "Call-Id": "none"}, conversation_tag="call-id")

    facts = policy.facts({"call-id": "42"})

    assert facts["tags"] == {"team": "voice", "call-id": "42"}
    assert facts["conversation_key"] == "42"


def test_what_to_keep_goes_with_every_session_into_its_journal() -> None:
    policy = RecordingPolicy(keep_rule=KeepRule(keep="failed"), redact=("audio",))

    facts = SessionFacts(session_id="20260212T083055-4f3a9c12", started_at_us=0, **policy.facts({}))

    assert (facts.keep_rule, facts.redact) == (KeepRule(keep="failed"), ["audio"])
    assert (facts.tags, facts.conversation_key) == ({}, None)
