"""Pylon's own tables, and the named statements on them. What isn't generated lives here, to be reviewed as SQL."""

TABLES = (
    # Single values: the reservation of row ids.
    "CREATE TABLE IF NOT EXISTS _pylon_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    # The change log (spec 02 §4.2): full rows and pre-images, in commit order.
    """CREATE TABLE IF NOT EXISTS _pylon_change_log (
        seq INTEGER PRIMARY KEY,
        entity TEXT NOT NULL,
        row_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        data BLOB NOT NULL,
        prev_data BLOB,
        timestamp TEXT NOT NULL
    )""",
    # Op-ids by principal (spec 02 §20.5): a replay is recognised after a restart.
    """CREATE TABLE IF NOT EXISTS _pylon_ops (
        principal TEXT NOT NULL,
        op_id TEXT NOT NULL,
        row_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (principal, op_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_ops_at ON _pylon_ops (at)",
    # Answers by idempotency key, stored with the write they speak of.
    """CREATE TABLE IF NOT EXISTS _pylon_answers (
        principal TEXT NOT NULL,
        key TEXT NOT NULL,
        fingerprint BLOB NOT NULL,
        status INTEGER NOT NULL,
        body BLOB NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (principal, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_answers_at ON _pylon_answers (at)",
    # What operators set: switches, flags, admin tokens, incidents. Small, read as a whole by kind.
    """CREATE TABLE IF NOT EXISTS _pylon_records (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        record BLOB NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    ) WITHOUT ROWID""",
    # The audit trail: blocks of records, each block's hash covering the one before (engine/audit.py). AUTOINCREMENT, so
    # that a cut tail shows: ids are never given out twice.
    """CREATE TABLE IF NOT EXISTS _pylon_audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        records BLOB NOT NULL,
        hash BLOB NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS _pylon_audit_at ON _pylon_audit (at)",
    "CREATE INDEX IF NOT EXISTS _pylon_audit_operator ON _pylon_audit (at) WHERE kind = 'operator'",
    "CREATE INDEX IF NOT EXISTS _pylon_audit_auth ON _pylon_audit (at) WHERE kind = 'auth'",
    # What was used, by day ("2026-11-23") and month ("2026-11"), by user and, as principal "", in total.
    """CREATE TABLE IF NOT EXISTS _pylon_usage (
        period TEXT NOT NULL,
        meter TEXT NOT NULL,
        principal TEXT NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (period, meter, principal)
    ) WITHOUT ROWID""",
)

# The restore that the data descends from, in Unix seconds: the archive keeps the life between two restores apart.
TIMELINE_KEY = "timeline"

META_GET = "SELECT coalesce((SELECT value FROM _pylon_meta WHERE key = ?), 0)"
META_RAISE = """INSERT INTO _pylon_meta (key, value) VALUES (?1, ?2)
    ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)"""
META_PUT = "INSERT OR REPLACE INTO _pylon_meta (key, value) VALUES (?, ?)"

# Which index finds fewest rows is known from samples of each. Without them a flag that most rows have looks as
# selective as their owner.
SAMPLE_SIZE = "PRAGMA analysis_limit = 1000"
# What PRAGMA optimize would do, told only (0x1), of all tables, also those that this connection never read (0x10000).
SAMPLES_NEEDED = "PRAGMA optimize = 0x10003"
# Other connections read the samples again when the schema changes, so it does.
SAMPLED = (
    "DROP VIEW IF EXISTS _pylon_sampled",
    "CREATE VIEW _pylon_sampled AS SELECT tbl, idx, stat FROM sqlite_stat1",
)

LOG_APPEND = (
    "INSERT INTO _pylon_change_log (seq, entity, row_id, kind, data, prev_data, timestamp) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
# The floor stands above every seq that a client may hold from before a restore, or from while an entity was switched
# off: cursors below it are refused, and seqs go on above it.
LOG_FLOOR = "SELECT coalesce((SELECT value FROM _pylon_meta WHERE key = 'log_floor'), 0)"
LOG_HEAD = f"SELECT max(coalesce((SELECT max(seq) FROM _pylon_change_log), 0), ({LOG_FLOOR}))"
LOG_TAIL = "SELECT coalesce(min(seq), 0) FROM _pylon_change_log"
LOG_AFTER = """SELECT seq, entity, row_id, kind, data, prev_data, timestamp
    FROM _pylon_change_log WHERE seq > ? ORDER BY seq LIMIT ?"""
# Only entries that are both beyond the newest :keep and older than :before; the oldest first, a bounded number.
LOG_PRUNE = """DELETE FROM _pylon_change_log WHERE seq IN (
    SELECT seq FROM _pylon_change_log
    WHERE seq <= (SELECT max(seq) FROM _pylon_change_log) - :keep AND CAST(timestamp AS INTEGER) < :before
    ORDER BY seq LIMIT :limit)"""

OP_GET = "SELECT row_id, seq FROM _pylon_ops WHERE principal = ? AND op_id = ?"
# What a guest wrote is its user's; an op-id that the user has too stays where it is.
OPS_MOVE = "UPDATE OR IGNORE _pylon_ops SET principal = ? WHERE principal = ?"
OPS_FORGET = "DELETE FROM _pylon_ops WHERE principal = ? RETURNING 1"
OP_PUT = "INSERT INTO _pylon_ops (principal, op_id, row_id, seq, at) VALUES (?, ?, ?, ?, ?)"
# The op-ids of log entries: both carry the second of their commit.
OPS_OF = "SELECT seq, principal, op_id, row_id FROM _pylon_ops WHERE at BETWEEN ? AND ? AND seq BETWEEN ? AND ?"
OPS_PRUNE = """DELETE FROM _pylon_ops WHERE (principal, op_id) IN (
    SELECT principal, op_id FROM _pylon_ops WHERE at < :before ORDER BY at LIMIT :limit)"""

RECORD_GET = "SELECT record FROM _pylon_records WHERE kind = ? AND key = ?"
RECORDS_OF = "SELECT key, record FROM _pylon_records WHERE kind = ? ORDER BY key"
RECORD_PUT = "INSERT OR REPLACE INTO _pylon_records (kind, key, record, at) VALUES (?, ?, ?, ?)"
RECORD_DELETE = "DELETE FROM _pylon_records WHERE kind = ? AND key = ?"
RECORDS_DROP_UNUSED = "DELETE FROM _pylon_records WHERE kind = ? AND at < ?"
RECORDS_DROP = "DELETE FROM _pylon_records WHERE kind = ?"
# Tokens that were revoked stay known, so that one of the environment does not work again.
TOKENS_DROP_LIVE = """DELETE FROM _pylon_records WHERE kind = ?
    AND NOT coalesce(json_extract(CAST(record AS TEXT), '$.token.revoked_at'), 0)"""
TABLE_NAMES = "SELECT name FROM sqlite_schema WHERE type = 'table'"

# What operators set by an entity's name follows it to its new one.
THROTTLE_RENAME = "UPDATE OR REPLACE _pylon_records SET key = ? WHERE kind = 'throttle' AND key = ?"
SWITCH_RENAME = """UPDATE _pylon_records SET record = CAST(json_set(CAST(record AS TEXT), '$.target', ?1) AS BLOB)
    WHERE kind = 'switch' AND json_extract(CAST(record AS TEXT), '$.scope') = 'entity'
    AND json_extract(CAST(record AS TEXT), '$.target') = ?2"""

AUDIT_COLUMNS = "id, at, kind, records, hash"
AUDIT_APPEND = f"INSERT INTO _pylon_audit ({AUDIT_COLUMNS}) VALUES (?, ?, ?, ?, ?)"
AUDIT_LAST = f"SELECT {AUDIT_COLUMNS} FROM _pylon_audit ORDER BY id DESC LIMIT 1"
# The highest id ever given out: above the last block's when the trail's end was cut off.
AUDIT_ISSUED = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '_pylon_audit'), 0)"
AUDIT_AFTER = f"SELECT {AUDIT_COLUMNS} FROM _pylon_audit WHERE id > ? ORDER BY id LIMIT ?"
# Newest first, before the block (at, id); `needle` spares the decoding of blocks that can't hold what is looked for.
AUDIT_SEARCH = f"""SELECT {AUDIT_COLUMNS} FROM _pylon_audit
    WHERE at >= :since AND (at, id) < (:until, :below) AND {{kinds}}
    AND (:needle IS NULL OR instr(records, :needle) > 0)
    ORDER BY at DESC, id DESC LIMIT :limit"""
AUDIT_KINDS = {
    "write": "kind = 'write'",
    "read": "kind = 'read'",
    "operator": "kind = 'operator'",
    "auth": "kind = 'auth'",
    "": "true",
}
# Whole blocks from the beginning only: the one that ends a portion, and what goes with it.
AUDIT_DROPPABLE = f"""SELECT {AUDIT_COLUMNS} FROM (
    SELECT {AUDIT_COLUMNS} FROM _pylon_audit ORDER BY id LIMIT :limit) WHERE at < :before ORDER BY id DESC LIMIT 1"""
AUDIT_PRUNE = "DELETE FROM _pylon_audit WHERE id <= ?"

USAGE_ADD = """INSERT INTO _pylon_usage (period, meter, principal, amount) VALUES (?, ?, ?, ?)
    ON CONFLICT (period, meter, principal) DO UPDATE SET amount = amount + excluded.amount"""
USAGE_TOTALS = "SELECT meter, amount FROM _pylon_usage WHERE period = ? AND principal = ''"
USAGE_TOP = """SELECT principal, amount FROM _pylon_usage
    WHERE period = ? AND meter = ? AND principal <> '' ORDER BY amount DESC LIMIT ?"""
USAGE_OF = "SELECT meter, amount FROM _pylon_usage WHERE period = ? AND principal = ?"
# A scan: users are erased seldom, and an index would cost each count.
USAGE_FORGET = "DELETE FROM _pylon_usage WHERE principal = ? RETURNING 1"
USAGE_PRUNE = "DELETE FROM _pylon_usage WHERE length(period) = 10 AND period < ? AND principal <> ''"

ANSWER_GET = "SELECT fingerprint, status, body FROM _pylon_answers WHERE principal = ? AND key = ?"
ANSWERS_FORGET = "DELETE FROM _pylon_answers WHERE principal = ? RETURNING 1"
ANSWER_PUT = "INSERT INTO _pylon_answers (principal, key, fingerprint, status, body, at) VALUES (?, ?, ?, ?, ?, ?)"
ANSWERS_PRUNE = """DELETE FROM _pylon_answers WHERE (principal, key) IN (
    SELECT principal, key FROM _pylon_answers WHERE at < :before LIMIT :limit)"""

DOCUMENT_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '_pylon_crdt_*'"
"""The tables of documents, each by entity and row_id."""
