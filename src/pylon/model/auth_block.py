"""The `auth` block of an app and its defaults (spec 03 §1.1, spec 05 §1.7): how it is written, in Python and in a
manifest, and how the other rooms read it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from pylon.model.findings import Diagnostic, error
from pylon.model.schema import AppSpec, EntitySpec, Field

DEFAULT_LIFETIME = 2_592_000
"""Seconds that a session lives where nobody says otherwise: 30 days."""

BUILTIN_ROLES = ("owner", "admin", "member")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")

_SECRET_FIELDS = frozenset({"passwordHash", "totpSecret", "totpBackupCodes"})
"""Fields of the user entity that never leave the server, whatever the app says of them."""

_SESSION: dict[str, Any] = {
    "expires_in": DEFAULT_LIFETIME,
    "cookie_cache": {"enabled": False, "max_age": 300, "claims": ["is_admin", "tenant_id"]},
}
_ORGANISATION = {"entity": "Org", "member_entity": "OrgMember", "invite_entity": "OrgInvite", "disabled": False}


class _User(msgspec.Struct, frozen=True, kw_only=True):
    entity: str = "User"
    expose: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    admin_field: str | None = None


class _Session(msgspec.Struct, frozen=True, kw_only=True):
    expires_in: int = DEFAULT_LIFETIME


class _Org(msgspec.Struct, frozen=True, kw_only=True):
    entity: str = "Org"
    member_entity: str = "OrgMember"
    invite_entity: str = "OrgInvite"
    disabled: bool = False


class AuthBlock(msgspec.Struct, frozen=True, kw_only=True):
    """The block as values. `user` names the user entity and what of its rows is shown, `org` the entities of
    organisations; `session.expires_in` is in seconds."""

    user: _User = _User()
    session: _Session = _Session()
    org: _Org = _Org()
    org_roles: tuple[str, ...] = ()
    trusted_origins: tuple[str, ...] = ()
    on_delete_account: str | None = None
    second_factor: Literal["optional", "required"] = "optional"

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that a member may have."""
        return (*BUILTIN_ROLES, *self.org_roles)


class Auth:
    """How an app's people sign in: `App("notes", auth=Auth(admin_field="role"))`.

    Attributes:
        user: the entity of users, its class or wire name; `User` where it isn't given.
        expose, hide: fields of the user's row that `GET /api/auth/session` shows, or leaves out.
        admin_field: field of the user's row that makes its user an admin: true, "admin", or a list with "admin".
        expires_in: seconds that a session lives without being used.
        org, member, invite: the entities of organisations; `organisations=False` turns them off.
        org_roles: roles beside owner, admin and member.
        trusted_origins: origins whose pages may use a user's cookie, and that sign-ins may lead back to.
        on_delete_account: name of the function that is called before an account is deleted.
        second_factor: "required" asks everybody for one; who has none sets one up before anything else.
    """

    def __init__(
        self,
        *,
        user: type | str = "User",
        expose: Sequence[str] = (),
        hide: Sequence[str] = (),
        admin_field: str | None = None,
        expires_in: int = DEFAULT_LIFETIME,
        org: type | str = "Org",
        member: type | str = "OrgMember",
        invite: type | str = "OrgInvite",
        organisations: bool = True,
        org_roles: Sequence[str] = (),
        trusted_origins: Sequence[str] = (),
        on_delete_account: str | None = None,
        second_factor: Literal["optional", "required"] = "optional",
    ) -> None:
        self._user = user
        self._org = (org, member, invite)
        self._organisations = organisations
        self._block: dict[str, Any] = {
            "user": {"expose": list(expose), "hide": list(hide)}
            | ({"admin_field": admin_field} if admin_field is not None else {}),
            "session": {"expires_in": expires_in},
            "trusted_origins": list(trusted_origins),
        }
        if org_roles:
            self._block["org_roles"] = list(org_roles)
        if on_delete_account is not None:
            self._block["on_delete_account"] = on_delete_account
        if second_factor != "optional":
            self._block["second_factor"] = second_factor

    def block(self, wire_names: dict[str, str]) -> dict[str, Any]:
        """The manifest's form. `wire_names` are those of entities by the name of their class."""

        def name(entity: type | str) -> str:
            text = entity if isinstance(entity, str) else entity.__name__
            return wire_names.get(text, text)

        block = default_auth()
        block["user"] = {"entity": name(self._user)} | self._block["user"]
        block["session"] |= self._block["session"]
        org = dict(zip(("entity", "member_entity", "invite_entity"), map(name, self._org), strict=True))
        if org != {key: _ORGANISATION[key] for key in org} or not self._organisations:
            block["org"] = org | {"disabled": not self._organisations}
        return block | {key: value for key, value in self._block.items() if key not in ("user", "session")}


def auth_block(spec: AppSpec) -> AuthBlock:
    """The block of an app, defaults filled in. One that `check_auth` finds fault with counts as absent."""
    try:
        return msgspec.convert(spec.raw.get("auth") or {}, AuthBlock)
    except msgspec.ValidationError:
        return AuthBlock()


def with_closed_secrets(spec: AppSpec) -> AppSpec:
    """The app with its secrets made serverOnly: of the user entity `passwordHash`, what belongs to second factors, and
    every name that begins with `_` (spec 05 §1.7); of invitations the hash of their token."""
    block = auth_block(spec)

    def is_open_secret(entity: EntitySpec, field: Field) -> bool:
        if field.server_only:
            return False
        if entity.name == block.org.invite_entity:
            return field.name == "tokenHash"
        return entity.name == block.user.entity and (field.name in _SECRET_FIELDS or field.name.startswith("_"))

    def closed(entity: EntitySpec) -> EntitySpec:
        if not any(is_open_secret(entity, f) for f in entity.fields):
            return entity
        fields = tuple(
            msgspec.structs.replace(f, server_only=True) if is_open_secret(entity, f) else f for f in entity.fields
        )
        return msgspec.structs.replace(entity, fields=fields)

    return msgspec.structs.replace(spec, entities=tuple(map(closed, spec.entities)))


def check_auth(spec: AppSpec) -> Iterator[Diagnostic]:
    """What is wrong with the block."""
    raw = spec.raw.get("auth") or {}
    try:
        block = msgspec.convert(raw, AuthBlock)
    except msgspec.ValidationError as problem:
        yield error("AUTH_INVALID", f"auth: {problem}", "Compare it with the example in the guide on signing in.")
        return
    entity = spec.entity(block.user.entity)
    named = [("expose", n) for n in block.user.expose] + [("hide", n) for n in block.user.hide]
    if block.user.admin_field is not None:
        named.append(("admin_field", block.user.admin_field))
    for key, name in named:
        if entity is not None and name != "id" and entity.field(name) is None:
            yield error("AUTH_FIELD_NOT_FOUND", f"auth.user.{key}: {block.user.entity} has no field {name!r}")
    if block.session.expires_in < 60:
        yield error("AUTH_INVALID", "auth.session.expires_in: sessions live at least 60 seconds")
    for role in block.org_roles:
        if not _ROLE.match(role) or role in BUILTIN_ROLES:
            yield error("AUTH_ROLE_INVALID", f"auth.org_roles: {role!r} is no role of an app's own")
    if len(set(block.org_roles)) != len(block.org_roles):
        yield error("AUTH_ROLE_INVALID", "auth.org_roles: a role is named twice")
    for origin in block.trusted_origins:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@\s*]+", origin, re.IGNORECASE):
            yield error(
                "AUTH_ORIGIN_INVALID", f"auth.trusted_origins: {origin!r} is not an origin", "Write scheme://host."
            )
    called = block.on_delete_account
    if called is not None and called not in {n for f in spec.functions for n in (f.name, *f.aliases)} | {
        a["name"] for a in spec.actions
    }:
        yield error("AUTH_FUNCTION_NOT_FOUND", f"auth.on_delete_account: there is no function {called!r}")


def default_auth() -> dict[str, Any]:
    """The `auth` block of an app that says nothing about it, as the SDK writes it."""
    return {
        "user": {"entity": "User", "expose": [], "hide": []},
        "session": copy.deepcopy(_SESSION),
        "trusted_origins": [],
    }


def filled_auth(auth: dict[str, Any]) -> dict[str, Any]:
    """The block with its defaults, and without empty lists."""
    session = auth.get("session") or {}
    filled: dict[str, Any] = auth | {
        "user": {"entity": "User"} | _without_empty(auth.get("user") or {}),
        "session": copy.deepcopy(_SESSION) | session,
        "org": _ORGANISATION | (auth.get("org") or {}),
    }
    filled["session"]["cookie_cache"] = _SESSION["cookie_cache"] | (session.get("cookie_cache") or {})
    return _without_empty(filled)


def _without_empty(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if value != []}
