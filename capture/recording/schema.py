"""The columns of every table of a recording (docs/recording-format.md explains each one).

Units stand in the names. Columns may be added; none is renamed: foreign readers rely on them.
"""

from __future__ import annotations

import pyarrow as pa

FORMAT_VERSION = 1

_AT = pa.timestamp("us", tz="UTC")
_TEXT_MAP = pa.map_(pa.string(), pa.string())

GAP = pa.struct(
    [
        ("sender", pa.string()),
        ("from_ns", pa.int64()),
        ("to_ns", pa.int64()),
        ("bytes", pa.int64()),
        ("reason", pa.string()),
    ]
)

UNDERRUN = pa.struct([("seq", pa.int64()), ("offset_ns", pa.int64()), ("wait_ms", pa.float64())])

QUIET_COMMIT = pa.struct([("seq", pa.int64()), ("item_id", pa.string()), ("loudest_dbfs", pa.float64())])

_LATENCIES = ("commit_ms", "first_audio_ms", "transcription_ms", "response_ms")
TURN_LATENCIES = pa.struct([(name, pa.float64()) for name in _LATENCIES])

SESSIONS = pa.schema(
    [
        pa.field("session_id", pa.string(), nullable=False),
        ("format_version", pa.int32()),
        ("tool_version", pa.string()),
        ("recorder_id", pa.string()),
        ("role", pa.string()),
        ("kept", pa.string()),
        ("started_at", _AT),
        ("ended_at", _AT),
        ("duration_ms", pa.float64()),
        ("target", pa.string()),
        ("provider", pa.string()),
        ("region", pa.string()),
        ("host", pa.string()),
        ("remote_ip", pa.string()),
        ("url", pa.string()),
        ("dialect", pa.string()),
        ("model", pa.string()),
        ("model_echoed", pa.string()),
        ("transcription_model", pa.string()),
        ("transcription_model_echoed", pa.string()),
        ("voice", pa.string()),
        ("turn_detection", pa.string()),
        ("input_format", pa.string()),
        ("output_format", pa.string()),
        ("server_session_id", pa.string()),
        ("conversation_key", pa.string()),
        ("request_ids", _TEXT_MAP),
        ("handshake_status", pa.int32()),
        ("request_headers", _TEXT_MAP),
        ("response_headers", _TEXT_MAP),
        ("user_agent", pa.string()),
        ("close_code", pa.int32()),
        ("close_reason", pa.string()),
        ("closed_by", pa.string()),
        ("end_reason", pa.string()),
        ("run_id", pa.string()),
        ("replay_of", pa.string()),
        ("minimized_from", pa.string()),
        ("cell", pa.string()),
        ("block", pa.int32()),
        ("trial", pa.int32()),
        ("trial_kind", pa.string()),
        ("trial_outcome", pa.string()),
        ("overrides", pa.string()),
        ("tags", _TEXT_MAP),
        ("events_sent", pa.int64()),
        ("events_received", pa.int64()),
        ("turns", pa.int64()),
        ("audio_in_ms", pa.float64()),
        ("audio_out_ms", pa.float64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("errors", pa.int64()),
        ("first_error", pa.string()),
        ("failure_keys", pa.list_(pa.string())),
        ("outcome", pa.string()),
        ("complete", pa.bool_()),
        ("gaps", pa.list_(GAP)),
        ("lost_bytes", pa.int64()),
        ("undecodable_bytes", pa.int64()),
        ("relay_lag_p50_us", pa.float64()),
        ("relay_lag_p99_us", pa.float64()),
        ("relay_lag_max_us", pa.float64()),
        ("backpressure_client_ms", pa.float64()),
        ("backpressure_server_ms", pa.float64()),
        ("buffer_high_water", pa.int64()),
        ("pacing_p50_us", pa.float64()),
        ("pacing_p99_us", pa.float64()),
        ("drift_us", pa.float64()),
        ("pacing_ratio", pa.float64()),
        ("longest_append_gap_ms", pa.float64()),
        ("audio_missing_ms", pa.float64()),
        ("playback_underruns", pa.list_(UNDERRUN)),
        ("quiet_commits", pa.list_(QUIET_COMMIT)),
        ("expires_at", _AT),
        ("not_honoured", pa.list_(pa.string())),
        ("turn_latencies", pa.list_(TURN_LATENCIES)),
        ("clock_shift_p50_ms", pa.float64()),
        ("clock_shift_max_ms", pa.float64()),
    ]
)

EVENTS = pa.schema(
    [
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("offset_ns", pa.int64(), nullable=False),
        ("at", _AT),
        ("sender", pa.string()),
        ("kind", pa.string()),
        ("http_method", pa.string()),
        ("type", pa.string()),
        ("event_id", pa.string()),
        ("item_id", pa.string()),
        ("previous_item_id", pa.string()),
        ("response_id", pa.string()),
        ("call_id", pa.string()),
        ("content_index", pa.int32()),
        ("output_index", pa.int32()),
        ("error_type", pa.string()),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("error_param", pa.string()),
        ("payload", pa.string()),
        ("payload_bytes", pa.binary()),
        ("audio_at", pa.int64()),
        ("audio_track", pa.string()),
        ("audio_start", pa.int64()),
        ("audio_bytes", pa.int64()),
        ("wire_bytes", pa.int64()),
        ("pinned", pa.bool_()),
        ("redacted", pa.bool_()),
    ]
)

AUDIO = pa.schema(
    [
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("track", pa.string(), nullable=False),
        pa.field("block", pa.int32(), nullable=False),
        ("start_byte", pa.int64()),
        ("bytes", pa.int64()),
        ("format", pa.string()),
        ("rate", pa.int32()),
        ("codec", pa.string()),
        ("data", pa.binary()),
        ("rms_dbfs", pa.float64()),
        ("peak", pa.float64()),
        ("clipped", pa.int64()),
        ("dc_offset", pa.float64()),
        ("speech_ms", pa.float64()),
        ("silence_ms", pa.float64()),
        ("duplicated_chunks", pa.int64()),
        ("level_range_db", pa.float64()),
        ("bandwidth_hz", pa.float64()),
        ("looks_like", pa.string()),
    ]
)

DIVERGENCES = pa.schema(
    [
        pa.field("session_id", pa.string(), nullable=False),
        ("offset_ns", pa.int64()),
        ("step", pa.int64()),
        ("kind", pa.string()),
        ("expected", pa.string()),
        ("seen", pa.string()),
        ("action", pa.string()),
    ]
)

REWRITES = pa.schema(
    [
        pa.field("session_id", pa.string(), nullable=False),
        ("offset_ns", pa.int64()),
        ("step", pa.int64()),
        ("kind", pa.string()),
        ("path", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
    ]
)

TABLES: dict[str, pa.Schema] = {
    "sessions": SESSIONS,
    "events": EVENTS,
    "audio": AUDIO,
    "divergences": DIVERGENCES,
    "rewrites": REWRITES,
}
"""Table name (a folder of the root) to its columns."""
