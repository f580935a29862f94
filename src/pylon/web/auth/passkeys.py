"""Passkeys over HTTP (spec 03 §15). Bytes are base64url, as in the browser's own JSON form, which is taken as well."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.auth.methods.passkey import MAX_NAME, Assertion, Attestation, Passkeys
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, granted, json_body, require_recent, require_user, text, went_on
from pylon.web.auth.resource import MethodResource
from pylon.web.described import GRANT, describes
from pylon.web.request import Request

METHOD = "passkey"
LONGEST = 65_536
_TRANSPORTS = ("ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb")


def _passkeys(req: Request) -> Passkeys:
    found: Passkeys = req.doors.identity.registry.get(METHOD)
    return found


class BeginRegistration(MethodResource):
    """`/api/auth/passkey/register/begin`."""

    method = METHOD

    @describes(
        {"challenge": str, "rpId": str, "userId": str, "userName": str, "options": dict[str, Any]},
        who="user",
        errors=("METHOD_NOT_CONFIGURED", "REAUTHENTICATION_REQUIRED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A challenge to register a passkey of the caller's with."""
        require_recent(req)
        resp.data = msgspec.json.encode(await _passkeys(req).begin_registration(arrival(req)))


class FinishRegistration(MethodResource):
    """`/api/auth/passkey/register/finish`."""

    method = METHOD

    @describes(
        {"registered": Literal[True], "id": str, "name": str, "token?": str, "expires_at?": int},
        body={"clientDataJSON?": str, "attestationObject?": str, "response?": dict[str, Any], "name?": str},
        who="user",
        errors=(
            "METHOD_NOT_CONFIGURED",
            "MISSING_FIELD",
            "PASSKEY_REGISTER_FAILED",
            "CONFLICT",
            "SECOND_FACTOR_MISSING",
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Register what the browser made."""
        require_user(req)
        body = await json_body(req)
        response = _response(body)
        sent = Attestation(
            client_data=_bytes(response, "clientDataJSON"),
            attestation=_bytes(response, "attestationObject"),
            transports=_transports(response.get("transports")),
        )
        name = body.get("name")
        made, grant = await _passkeys(req).finish_registration(
            arrival(req), sent, name if isinstance(name, str) else ""
        )
        shown = {"id": made.id, "name": made.name, "registered": True, **went_on(req, resp, grant)}
        resp.data = msgspec.json.encode(shown)


class BeginLogin(MethodResource):
    """`/api/auth/passkey/login/begin`."""

    method = METHOD

    @describes({"challenge": str, "rpId": str, "options": dict[str, Any]}, errors=("METHOD_NOT_CONFIGURED",))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A challenge to sign in with, the same for everybody."""
        resp.data = msgspec.json.encode(await _passkeys(req).begin_login(arrival(req)))


class FinishLogin(MethodResource):
    """`/api/auth/passkey/login/finish`."""

    method = METHOD

    @describes(
        GRANT,
        body={
            "credentialId?": str,
            "authenticatorData?": str,
            "clientDataJSON?": str,
            "signature?": str,
            "userHandle?": str,
            "id?": str,
            "response?": dict[str, Any],
        },
        errors=(
            "METHOD_NOT_CONFIGURED",
            "MISSING_FIELD",
            "PASSKEY_VERIFY_FAILED",
            "SECOND_FACTOR_REQUIRED",
            "ACCOUNT_LOCKED",
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign in with what the browser signed."""
        body = await json_body(req)
        response = _response(body)
        named = body if "credentialId" in body else {"credentialId": body.get("rawId", body.get("id"))}
        sent = Assertion(
            credential_id=_bytes(named, "credentialId"),
            client_data=_bytes(response, "clientDataJSON"),
            authenticator_data=_bytes(response, "authenticatorData"),
            signature=_bytes(response, "signature"),
            user_handle=_bytes(response, "userHandle") if response.get("userHandle") else None,
        )
        granted(req, resp, await _passkeys(req).finish_login(arrival(req), sent))


class KeyList(MethodResource):
    """`/api/auth/passkey/keys`."""

    method = METHOD
    open_responders = frozenset({"on_get", "on_head"})

    @describes(list[dict[str, Any]], who="user", errors=("METHOD_NOT_CONFIGURED",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's passkeys, newest first."""
        user_id = require_user(req).identity.user_id or ""
        shown = [
            {
                "id": held.id,
                "name": held.name,
                "created_at": held.created_at,
                "last_used_at": held.last_used_at or None,
                "backed_up": held.backed_up,
                "transports": msgspec.json.decode(held.transports),
            }
            for held in _passkeys(req).of_user(user_id)
        ]
        resp.data = msgspec.json.encode(shown)


class OneKey(MethodResource):
    """`/api/auth/passkey/keys/{key_id}`."""

    method = METHOD
    open_responders = frozenset({"on_patch", "on_delete"})

    @describes(
        {"id": str, "name": str},
        body={"name": str},
        who="user",
        errors=("METHOD_NOT_CONFIGURED", "MISSING_NAME", "NOT_FOUND"),
    )
    async def on_patch(self, req: Request, resp: falcon.asgi.Response, key_id: str) -> None:
        """Call one something else."""
        user_id = require_user(req).identity.user_id or ""
        name = text(await json_body(req), "name", "MISSING_NAME", longest=MAX_NAME)
        if not await _passkeys(req).rename(arrival(req), user_id, key_id, name):
            raise PylonError("NOT_FOUND", "No such passkey")
        resp.data = msgspec.json.encode({"id": key_id, "name": name.strip()})

    @describes(
        {"deleted": Literal[True]},
        who="user",
        errors=("METHOD_NOT_CONFIGURED", "NOT_FOUND", "LAST_METHOD", "SECOND_FACTOR_DEMANDED"),
    )
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, key_id: str) -> None:
        """Take one away."""
        user_id = require_user(req).identity.user_id or ""
        if not await _passkeys(req).remove(arrival(req), user_id, key_id):
            raise PylonError("NOT_FOUND", "No such passkey")
        resp.data = b'{"deleted":true}'


def _response(body: dict[str, Any]) -> dict[str, Any]:
    """The fields that the authenticator made: at the top, or as `response` of a credential's own JSON form."""
    inner = body.get("response")
    return inner if isinstance(inner, dict) else body


def _transports(sent: Any) -> tuple[str, ...]:
    """The ways to reach the authenticator that are known here; a hint for the browser, nothing more."""
    return tuple(known for known in _TRANSPORTS if known in sent) if isinstance(sent, list) else ()


def _bytes(body: dict[str, Any], name: str) -> bytes:
    """The bytes of a base64url text. Raises MISSING_FIELD."""
    value = body.get(name)
    if isinstance(value, str) and 0 < len(value) <= LONGEST and value.isascii():
        try:
            return base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            pass
    raise PylonError("MISSING_FIELD", f"{name} (base64url) is required")


ROUTES: dict[str, object] = {
    "/api/auth/passkey/register/begin": BeginRegistration(),
    "/api/auth/passkey/register/finish": FinishRegistration(),
    "/api/auth/passkey/login/begin": BeginLogin(),
    "/api/auth/passkey/login/finish": FinishLogin(),
    "/api/auth/passkey/keys": KeyList(),
    "/api/auth/passkey/keys/{key_id}": OneKey(),
}
