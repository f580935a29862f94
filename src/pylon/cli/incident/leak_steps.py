"""The steps for a leaked admin token."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pylon.auth.admin_tokens import token_id
from pylon.auth.tokens import token_key
from pylon.cli.incident import bundle
from pylon.cli.incident.line import when
from pylon.cli.incident.playbook import Case, Step, StepFailed
from pylon.cli.remote import Remote, RemoteError, segment
from pylon.ops.incident.moments import span, stamp, utc
from pylon.ops.incident.record import Incident, Kind, Severity, new_incident_id

TOKENS = "/api/admin/tokens"
TITLE = "An admin token has leaked"
DEFAULT_SINCE = "24h"
CAPTURE_MINUTES = 60.0
EXPORT_SECONDS = 120.0
GRACE_SECONDS = 600.0
"""How long the old token lives on if nobody revokes it: an answer that gets lost must not lock everybody out."""

_SHOWN = 10
_REFUSED = (401, 403)

BY_HAND = (
    "put the new token into the environment of the server and of everything that calls it (PYLON_ADMIN_TOKEN), "
    "and restart nothing: it works already",
    "rotate the secrets that stood beside the leaked token: OAuth client secrets, PYLON_JWT_SECRET, "
    "PYLON_METRICS_TOKEN, proxy and cloud credentials",
    "find out where the token leaked (repository, log, chat, backup, laptop) and remove it there",
    "look through the list of what admins did, and restore what should not have been changed",
)


def _start(case: Case) -> str:
    now = time.time()
    incident = Incident(
        id=new_incident_id(now),
        title=TITLE,
        severity=Severity.SEV1,
        started_at=now,
        began_at=when(case.since, "since") if case.since else 0.0,
        started_by=case.by,
    )
    case.incident = case.line.send_start(incident, parallel=False)["id"]
    return f"incident {case.incident} started"


def _is_open(case: Case) -> str | None:
    return None if case.incident is None else f"noting in the open incident {case.incident}"


def _capture(case: Case) -> str:
    document = bundle.from_server(case.line.remote, case.folder, CAPTURE_MINUTES)
    missing = len(document["not_captured"])
    return f"captured into {document['folder']}" + (f", {missing} parts missing" if missing else "")


def _backup(case: Case) -> str:
    taken = bundle.back_up(case.line, case.folder, case.output)
    if not taken["taken"]:
        raise StepFailed(taken["why"])
    return "backup taken"


def new_token(case: Case) -> str:
    """Make a new admin token, show it once, and use it from here on."""
    remote = case.line.remote
    made = remote.post(f"{TOKENS}/rotate", {"label": "incident", "revoke": "used", "grace_secs": GRACE_SECONDS})
    fresh = str(made["token"])
    case.output.answer(
        {"token": fresh, "id": made["id"]},
        f"\n   the new admin token, shown once, write it down now:\n\n   {fresh}\n",
    )
    case.line.remote = Remote(remote.url, fresh, timeout=remote.timeout)
    case.line.remote.get(TOKENS)
    return f"admin token rotated: the new one is {made['id']}"


def others(case: Case) -> list[dict[str, Any]]:
    """Admin tokens that are valid beside the one in use."""
    tokens: list[dict[str, Any]] = case.line.remote.get(TOKENS)["tokens"]
    own, now = _id_of(case.line.remote.token or ""), time.time()
    return [
        token
        for token in tokens
        if token["id"] != own and not token["revoked_at"] and not 0 < token["expires_at"] <= now
    ]


def _plan_revoke(case: Case) -> list[str]:
    found = others(case)
    return [f"revoke {len(found)} admin tokens at once, without a restart:", *(f"  {_named(t)}" for t in found)]


def revoke_others(case: Case) -> str:
    """Revoke every admin token but the one in use."""
    found = others(case)
    for token in found:
        case.line.remote.delete(f"{TOKENS}/{segment(token['id'])}")
    left = others(case)
    if left:
        raise StepFailed(f"still valid: {', '.join(_named(token) for token in left)}")
    return f"revoked {len(found)} other admin tokens"


def _named(token: dict[str, Any]) -> str:
    return f"{token['id']} {token['label']}".strip()


def _id_of(token: str) -> str:
    return token_id(token_key(token))


def which_sessions(case: Case) -> str:
    """The sessions that are purged, in words."""
    if not case.purge:
        return "every session: all users sign in again"
    parts = []
    if "user" in case.purge:
        parts.append(f"of {case.purge['user']}")
    if case.purge.get("guests"):
        parts.append("of guests")
    if "before" in case.purge:
        parts.append(f"made before {utc(case.purge['before'])}")
    return f"the sessions {' '.join(parts)}"


def purge_sessions(case: Case) -> str:
    """End sessions, and the sockets on them."""
    answer = case.line.remote.post("/api/admin/sessions/purge", dict(case.purge))
    return f"{answer['sessions_revoked']} sessions ended ({which_sessions(case)})"


def _since(case: Case) -> float:
    return when(case.since or DEFAULT_SINCE, "since")


def revoke_api_keys(case: Case) -> str:
    """End the API keys that were made since the leak: whoever held the token could sign in as anybody and make some."""
    since = _since(case)
    answer = case.line.remote.post("/api/admin/api-keys/purge", {"after": int(since)})
    return f"{answer['keys_revoked']} API keys ended, of those made since {utc(since)}"


def rotate_signing_keys(case: Case) -> str:
    """A new key for JWTs; whatever the old ones signed is over."""
    try:
        made = case.line.remote.post("/api/admin/signing-keys/rotate", {"revoke": True})
    except RemoteError as error:
        if error.code != "METHOD_NOT_CONFIGURED":
            raise
        return "this server makes no JWTs"
    return f"{made['kid']} signs JWTs now, and no older one is good"


def contain(case: Case) -> str:
    """Maintenance mode."""
    body = {"scope": "server", "reason": "emergency maintenance"}
    case.line.remote.post("/api/admin/switches", body)
    return "maintenance mode is on"


def _audit(case: Case) -> str:
    since = _since(case)
    case.folder.mkdir(parents=True, exist_ok=True)
    file = case.folder / f"admin-actions-{stamp(time.time())}.jsonl"
    patient = Remote(case.line.remote.url, case.line.remote.token, timeout=EXPORT_SECONDS)
    pieces = patient.stream("/api/admin/audit/export", kind="operator,auth,write,read", since=since)
    known = {_id_of(token): " (a token of this environment)" for token in case.old_tokens}
    tokens, actions, addresses = Counter[str](), Counter[str](), Counter[str]()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        for line in _lines(pieces):
            entry = json.loads(line)
            if not entry["actor_is_admin"] or entry["door"] == "system":
                continue
            written.write(line + b"\n")
            tokens[entry["token"] + known.get(entry["token"], "")] += 1
            actions[f"{entry['action']} {entry['entity']}".strip()] += 1
            addresses[entry["ip"]] += 1
    for label, counted in (("token", tokens), ("from", addresses), ("did", actions)):
        for value, count in counted.most_common(_SHOWN):
            case.output.note(f"   {label} {value or '?'}: {count}")
    return f"{actions.total()} actions with admin rights since {utc(since)} are listed in {file}"


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines of a stream."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _verify(case: Case) -> str:
    remote = case.line.remote
    remote.get(TOKENS)
    checked = 0
    for token in case.old_tokens:
        if token == remote.token:
            continue
        try:
            Remote(remote.url, token).get(TOKENS)
        except RemoteError as error:
            if error.status not in _REFUSED:
                raise
            checked += 1
            continue
        raise StepFailed("an old token of PYLON_ADMIN_TOKEN is still accepted", "Take the step that revokes it.")
    ready = remote.get("/readyz")
    if ready.get("status") != "ready":
        raise StepFailed(f"the server is not ready: {ready}")
    old = f"{checked} old tokens are refused" if checked else "no old token is known here: none was tried"
    return f"the new token works, {old}, the server is ready"


def _by_hand(case: Case) -> str:
    for text in BY_HAND:
        case.note(text, kind=Kind.FOLLOW_UP)
    return "noted as follow-ups" if case.incident is not None else "not noted: no incident is open"


STEPS: tuple[Step, ...] = (
    Step(
        "start",
        "Start an incident",
        lambda case: (
            f'open a sev1 incident "{TITLE}"; every step is noted in it, and a second run goes on from there',
        ),
        _start,
        _is_open,
    ),
    Step(
        "capture",
        "Capture signals",
        lambda case: (f"save the last {CAPTURE_MINUTES:g} minutes of signals into {case.folder.absolute()}",),
        _capture,
    ),
    Step(
        "backup",
        "Take a backup",
        lambda case: ("have the server take a backup, before anything is changed",),
        _backup,
    ),
    Step(
        "rotate-token",
        "Rotate the admin token",
        lambda case: (
            "make a new admin token and show it here, once",
            f"the old one ends with the next step, at the latest in {span(GRACE_SECONDS)}, so nobody is locked out",
        ),
        new_token,
    ),
    Step("revoke-others", "Revoke all other admin tokens", _plan_revoke, revoke_others),
    Step(
        "purge-sessions",
        "Purge sessions",
        lambda case: (f"end {which_sessions(case)}, and close the sockets on them",),
        purge_sessions,
    ),
    Step(
        "revoke-api-keys",
        "Revoke new API keys",
        lambda case: (
            f"end the API keys made since {case.since or DEFAULT_SINCE + ' ago'}, and close the sockets on them",
        ),
        revoke_api_keys,
    ),
    Step(
        "rotate-signing-keys",
        "Rotate signing keys",
        lambda case: ("sign JWTs with a new key from now on, and end every JWT that an older one signed",),
        rotate_signing_keys,
    ),
    Step(
        "audit",
        "List what admin tokens did",
        lambda case: (
            f"list what was written, read and switched with admin rights since {case.since or DEFAULT_SINCE + ' ago'} "
            f"into {case.folder.absolute()} (--since says another time)",
        ),
        _audit,
    ),
    Step(
        "verify",
        "Verify",
        lambda case: ("try the new token, try the old ones, ask /readyz",),
        _verify,
    ),
    Step(
        "by-hand",
        "What is left to do by hand",
        lambda case: (*BY_HAND, "note these as follow-ups of the incident"),
        _by_hand,
    ),
)
"""In the order of walking. The name of a step is what its outcome is noted under: never change one."""

NAMES = frozenset(step.name for step in STEPS)


def resume_hint(case: Case) -> str:
    """How to go on after an interruption."""
    rotated = case.line.remote.token not in case.old_tokens
    first = "PYLON_ADMIN_TOKEN=<the new token>,<the old one> " if rotated else ""
    return f"Run `{first}pylon incident token-leak` to go on."
