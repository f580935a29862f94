"""Admin tokens: several at once, made, rotated and revoked while the server runs; and the end of sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.containment.test_switches import eventually

Pylon = Callable[..., tuple[int, Any]]


def opens(server: ServerProcess, token: str) -> bool:
    return server.request("GET", "/api/admin/switches", token=token)[0] == 200


def test_a_made_token_works_beside_the_one_of_the_environment(server: ServerProcess, pylon: Pylon) -> None:
    code, made = pylon("admin", "token", "create", "--label", "ci")
    assert code == 0
    assert opens(server, made["token"])
    assert opens(server, ADMIN_TOKEN)
    _, listed = pylon("admin", "token", "list")
    assert [token["label"] for token in listed["tokens"]] == ["PYLON_ADMIN_TOKEN", "ci"]


def test_rotation_ends_the_token_that_was_used_also_across_a_restart(server: ServerProcess, pylon: Pylon) -> None:
    code, made = pylon("admin", "token", "rotate")
    assert code == 0
    assert not opens(server, ADMIN_TOKEN)
    assert opens(server, made["token"])
    server.kill()
    server.start()
    assert not opens(server, ADMIN_TOKEN), "the environment still has it, and it stays revoked"
    assert opens(server, made["token"])
    eventually(lambda: "revoked and not accepted" in server.log())


def test_rotation_with_a_grace_lets_the_old_token_live_for_a_moment(server: ServerProcess, pylon: Pylon) -> None:
    assert pylon("admin", "token", "rotate", "--grace", "2s")[0] == 0
    assert opens(server, ADMIN_TOKEN)
    eventually(lambda: not opens(server, ADMIN_TOKEN), 4.0)


def test_rotating_all_ends_every_other_token(server: ServerProcess, pylon: Pylon) -> None:
    _, other = pylon("admin", "token", "create")
    _, made = pylon("admin", "token", "rotate", "--all")
    assert sorted(made["revoked"]) == sorted([other["id"], *[i for i in made["revoked"] if i != other["id"]]])
    assert not opens(server, other["token"])
    assert not opens(server, ADMIN_TOKEN)
    assert opens(server, made["token"])


def test_a_token_is_revoked_by_id_but_never_the_last_one(server: ServerProcess, pylon: Pylon) -> None:
    _, made = pylon("admin", "token", "create")
    assert pylon("admin", "token", "revoke", made["id"])[0] == 0
    assert not opens(server, made["token"])
    _, listed = pylon("admin", "token", "list")
    [last] = [t["id"] for t in listed["tokens"] if not t["revoked_at"]]
    code, report = pylon("admin", "token", "revoke", last)
    assert (code, report[0]["code"]) == (1, "CONFLICT")
    assert opens(server, ADMIN_TOKEN)


def test_a_token_expires(server: ServerProcess, pylon: Pylon) -> None:
    _, made = pylon("admin", "token", "create", "--for", "2s")
    assert opens(server, made["token"])
    eventually(lambda: not opens(server, made["token"]), 4.0)


def test_the_database_and_the_log_hold_no_token(server: ServerProcess, pylon: Pylon, tmp_path: Path) -> None:
    _, made = pylon("admin", "token", "rotate")
    pylon("switch", "list", token=made["token"])
    server.stop()
    for path in (*(p for p in server.data.rglob("*") if p.is_file()), server.log_path):
        content = path.read_bytes()
        assert made["token"].encode() not in content
        assert ADMIN_TOKEN.encode() not in content
    with sqlite3.connect(server.data / "pylon.db") as connection:
        assert connection.execute("SELECT count(*) FROM _pylon_records WHERE kind = 'admin-token'").fetchone()[0] == 2


def test_each_use_from_a_new_place_is_recorded_under_the_tokens_id(server: ServerProcess, pylon: Pylon) -> None:
    _, made = pylon("admin", "token", "create", "--label", "ci")
    for _ in range(3):
        assert opens(server, made["token"])

    def used() -> list[dict[str, Any]]:
        _, answer = server.request("GET", "/api/admin/audit?action=token.use", token=ADMIN_TOKEN)
        return [entry for entry in answer["entries"] if entry["token"] == made["id"]]

    eventually(lambda: len(used()) == 1)
    assert used()[0]["ip"] == "127.0.0.1"


def test_operators_are_made_listed_given_passwords_and_removed(server: ServerProcess, pylon: Pylon) -> None:
    code, made = pylon("admin", "create", "ann", "--totp", input="correct horse battery\n")
    assert (code, made["username"], made["secondFactor"]) == (0, "ann", True)
    assert pylon("admin", "passwd", "ann", input="staple horse correct\n")[0] == 0
    assert [one["username"] for one in pylon("admin", "list")[1]["operators"]] == ["ann"]
    assert pylon("admin", "rm", "ann") == (0, {"deleted": True})
    assert server.request("GET", "/api/admin/operators", token=ADMIN_TOKEN)[1] == {"operators": []}


def test_a_purge_ends_all_sessions_at_once(server: ServerProcess, pylon: Pylon) -> None:
    alice, bob = server.token_of("alice"), server.token_of("bob")
    assert server.request("GET", "/api/auth/sessions", token=alice)[0] == 200
    code, answer = pylon("admin", "sessions", "purge")
    assert (code, answer["sessions_revoked"]) == (0, 2)
    for token in (alice, bob):
        assert server.request("GET", "/api/auth/sessions", token=token)[0] == 401


def test_a_purge_is_narrowed_by_user_time_and_guests(server: ServerProcess, pylon: Pylon) -> None:
    alice, bob = server.token_of("alice"), server.token_of("bob")
    _, guest = server.request("POST", "/api/auth/guest")
    assert pylon("admin", "sessions", "purge", "--before", "1h")[1]["sessions_revoked"] == 0
    assert pylon("admin", "sessions", "purge", "--method", "password")[1]["sessions_revoked"] == 0
    assert pylon("admin", "sessions", "purge", "--guests")[1]["sessions_revoked"] == 1
    assert pylon("admin", "sessions", "purge", "--user", "alice")[1]["sessions_revoked"] == 1
    alive = [server.request("GET", "/api/auth/sessions", token=t)[0] for t in (alice, bob, guest["token"])]
    assert alive == [401, 200, 401]


def test_users_can_neither_make_tokens_nor_purge(server: ServerProcess) -> None:
    alice = server.token_of("alice")
    for method, path in (
        ("GET", "/api/admin/tokens"),
        ("POST", "/api/admin/tokens"),
        ("POST", "/api/admin/tokens/rotate"),
        ("DELETE", "/api/admin/tokens/x"),
        ("POST", "/api/admin/sessions/purge"),
    ):
        assert server.request(method, path, {} if method == "POST" else None, token=alice)[0] == 403
