"""The errors Pylon answers with, and the one registry of their codes.

    PylonError                 anything that becomes {"error": {"code", "message", "hint"?}}
    └── (raised with a code)   the code names an entry of REGISTRY; its status is the default HTTP status

A code is stable: clients match on it and `pylon explain CODE` prints its entry. Never does a message carry
SQL, a policy expression, a path, a token or a stack trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Code:
    """One entry of the registry: the default HTTP status, what happened, and what to do next."""

    status: int
    summary: str
    fix: str


class PylonError(Exception):
    """An error with a stable code. `extra` is merged into the error object (e.g. retry_after_secs, oldest_seq)."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        entry = REGISTRY.get(code)
        self.status = status if status is not None else (entry.status if entry else 400)
        self.extra = extra
        self.headers = headers

    def __repr__(self) -> str:
        return f"PylonError({self.code!r}, {self.message!r}, status={self.status})"

    def envelope(self) -> dict[str, Any]:
        """The wire form (spec 01 §8.1)."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.hint is not None:
            body["hint"] = self.hint
        if self.extra:
            body.update(self.extra)
        return {"error": body}


REGISTRY: dict[str, Code] = {
    "INVALID_JSON": Code(
        400,
        "The request body is not valid JSON.",
        "Send a UTF-8 JSON body; check commas, quotes and nesting (at most 127 levels).",
    ),
    "INVALID_DATA": Code(
        400,
        "The body is JSON, but not of the shape or types that the entity declares.",
        "Compare the named field with its declaration; `GET /api/manifest` lists fields and types.",
    ),
    "INVALID_COLUMN": Code(
        400, "A field is named that the entity does not have.", "Use one of the valid columns that the message lists."
    ),
    "INVALID_ID": Code(
        400,
        "A client-provided row id is not 40 lowercase hex characters.",
        "Leave `id` out, or make one with the client's generateId().",
    ),
    "INVALID_QUERY": Code(
        400, "The query object is malformed.", "Check operators and their operands against the HTTP reference."
    ),
    "INVALID_SCOPE": Code(
        400,
        "A replication scope is too large, or is no object of filters by entity.",
        'Send {"Entity": {"field": value}}; the message says what is wrong with it.',
    ),
    "INVALID_ARGS": Code(
        400,
        "A function's arguments do not match its declaration.",
        "Fix the named argument; `GET /api/fn` shows the schema.",
    ),
    "OPTIMISTIC_ID_CONFLICT": Code(
        400, "A client-provided row id is already taken.", "The row exists already: update it, or generate a new id."
    ),
    "MISSING_FIELD": Code(400, "The body lacks a field that it must have.", "The message names the field."),
    "IMPORT_STOPPED": Code(
        400,
        "A row of an import was refused; the rows before its batch are in.",
        "Mend the row and go on from `report.lines`, or import with on_error=skip.",
    ),
    "IMPORT_CONFLICT": Code(
        409,
        "The import stands at another row than the request begins with.",
        "Ask GET /api/imports/<id> and send what comes behind it.",
    ),
    "PRECONDITION_FAILED": Code(
        412,
        "The row is not what the request's If-Match or If-None-Match expects; nothing was written.",
        "Read the row again, decide on what it is now, and send its new ETag.",
    ),
    "IDEMPOTENCY_MISMATCH": Code(
        422,
        "The Idempotency-Key was used for another request before; nothing was done.",
        "Use a new key for each new request, the same one only to repeat it unchanged.",
    ),
    "INSERT_FAILED": Code(
        400,
        "The store refused the insert: a required field is missing or a unique value is taken.",
        "The message names the constraint and its columns.",
    ),
    "UPDATE_FAILED": Code(
        400,
        "The store refused the update: a required field was cleared or a unique value is taken.",
        "The message names the constraint and its columns.",
    ),
    "DELETE_FAILED": Code(400, "The store refused the delete.", "The message names the constraint."),
    "QUERY_FAILED": Code(400, "The query asks for more than one query may.", "Narrow it; the message names the limit."),
    "REFERENCE_NOT_FOUND": Code(
        400,
        "A field refers to a row that is not there, or that the caller may not read.",
        "Write the row that it refers to first, or leave the field empty.",
    ),
    "REFERENCED": Code(
        409,
        "The row can't be deleted: others refer to it, and the app says that they are to keep it (on_delete).",
        "Delete or change the rows that refer to it first.",
    ),
    "CASCADE_TOO_LARGE": Code(
        409,
        "Deleting the row would delete or change more rows than one write may.",
        "Delete the rows that refer to it in smaller parts first.",
    ),
    "READONLY_FIELD": Code(
        400, "A readonly field may be set on insert only.", "Leave the field out of the update, or update it as admin."
    ),
    "MISSING_OPERATIONS": Code(400, "The batch has no operations.", 'Send {"operations": [...]}.'),
    "MISSING_ROOM": Code(400, "No room was named.", 'Send {"room": "..."}.'),
    "MISSING_TOPIC": Code(400, "The broadcast has no topic.", 'Send {"room": "...", "topic": "..."}.'),
    "MISSING_USER_ID": Code(400, "No user_id was given.", 'Send {"user_id": "..."}.'),
    "UPGRADE_FAILED": Code(400, "The session could not be upgraded.", "Send the guest's session token as Bearer."),
    "CURSOR_INVALID": Code(
        400,
        "The cursor is not one that this list gave out in this order.",
        "Ask for the first page without `after`, then pass `next_cursor` on with the same sort.",
    ),
    "MISSING_ENTITY": Code(400, "No entity was named.", "Name it in the path: `/api/search/<Entity>`."),
    "RELATION_NOT_FOUND": Code(
        400, "The entity declares no such relation.", "Declare it in `relations`, or check the name in the manifest."
    ),
    "SNAPSHOT_CURSOR_INVALID": Code(
        400, "The snapshot token is not one that this server made.", "Start the snapshot again with since=0."
    ),
    "HANDLER_ERROR": Code(
        400, "A function raised an unexpected exception.", "Look the request id up in the server's log."
    ),
    "FN_TIMEOUT": Code(
        400,
        "A function ran longer than its time limit.",
        "Make it shorter, move slow work to an action, or raise timeout=.",
    ),
    "FN_TYPE_MISMATCH": Code(
        400,
        "A function of another kind was expected.",
        "Actions call mutations and queries; only queries can be subscribed to.",
    ),
    "MISSING_FN_NAME": Code(
        400, "A live query was asked for without the name of a function.", 'Send {"fn_name": "..."}.'
    ),
    "REACTIVE_LIMIT": Code(
        400,
        "A connection, a user or the server has as many live queries as it may.",
        "Unsubscribe from what isn't shown. Operators: PYLON_LIVE_PER_USER_MAX, PYLON_LIVE_MAX.",
    ),
    "REACTIVE_TOO_LARGE": Code(
        400,
        "The result of a live query is too large to be pushed.",
        "Return fewer rows, or raise PYLON_WS_BUFFER_MAX_BYTES, of which a result may take half.",
    ),
    "REACTIVE_UNAVAILABLE": Code(400, "The app declares no functions.", "Declare the query in the app."),
    "SUBSCRIBE_FAILED": Code(
        400, "A live query could not be subscribed to.", "Look into the server's log, and subscribe again."
    ),
    "NESTED_TRANSACTION": Code(
        400,
        "A mutation is already one transaction.",
        "Call ctx.db directly; everything in a mutation commits together.",
    ),
    "READ_ONLY_FUNCTION": Code(400, "A query tried to write.", "Make it a mutation."),
    "UNAUTHENTICATED": Code(
        401, "The caller has no session.", "Sign in and send the token as `Authorization: Bearer`."
    ),
    "AUTH_REQUIRED": Code(401, "This needs a session.", "Sign in, or POST /api/auth/guest where guests are enough."),
    "OWNER_REQUIRED": Code(401, "The row is stamped with its owner, and the caller is anonymous.", "Sign in first."),
    "SESSION_EXPIRED": Code(401, "The session is expired or revoked.", "Sign in again."),
    "SESSION_CHANGED": Code(
        401,
        "The session is another user's than the one that the client expects.",
        "Ask /api/auth/me who it is now, and drop the rows of the former user.",
    ),
    "UNAUTHORIZED": Code(
        401, "The bearer token does not open this door.", "Send the admin token, or PYLON_METRICS_TOKEN for /metrics."
    ),
    "OPERATOR_INVALID": Code(400, "There can be no operator of this name.", "The message says what is wrong with it."),
    "OPERATOR_NOT_FOUND": Code(404, "There is no operator of this name.", "`pylon admin list` shows all."),
    "FORBIDDEN": Code(
        403,
        "This needs admin rights, or another role in the organisation.",
        "Send an admin token as `Authorization: Bearer`, or ask an owner of the organisation.",
    ),
    "POLICY_DENIED": Code(
        403,
        "The entity's policy does not allow this to the caller.",
        "Check the token and the policy; an entity without a policy is closed to everyone but admins.",
    ),
    "OWNER_MISMATCH": Code(
        403,
        "The row would be stamped with somebody else as its owner.",
        "Leave the owner field out: it is filled from the session.",
    ),
    "TENANT_REQUIRED": Code(
        403, "The entity belongs to an organisation and the caller has none selected.", "Select an organisation first."
    ),
    "VALIDATION_FAILED": Code(
        400, "A field breaks a rule of the app; the message names it.", "Send a value that fits the rule."
    ),
    "HOOK_FAILED": Code(
        500, "A plugin failed while the request ran, and nothing was written.", "The server's log has the traceback."
    ),
    "TENANT_MISMATCH": Code(
        403,
        "The row would belong to another organisation than the caller's active one.",
        "Leave the tenant's field out: it is filled from the session. Admins may name any tenant.",
    ),
    "CSRF_REJECTED": Code(
        403, "A browser on an untrusted origin sent this.", "Add the origin to PYLON_CORS_ORIGIN or PYLON_CSRF_ORIGINS."
    ),
    "METHOD_NOT_CONFIGURED": Code(
        404, "This way of signing in is not set up on this server.", "The hint names what to set; `pylon env` lists it."
    ),
    "ACCOUNT_LOCKED": Code(403, "The account is locked by its server.", "Ask whoever runs the server."),
    "INVALID_API_KEY": Code(
        401,
        "The API key is malformed, unknown, expired or revoked, or its user is locked.",
        "Make a new one with POST /api/auth/api-keys, or send a session's token.",
    ),
    "INVALID_JWT": Code(
        401,
        "The JWT is malformed, expired, not signed by a key that is taken here, or its session is over.",
        "Ask for a new one with POST /api/auth/jwt; check its issuer.",
    ),
    "JWT_NOT_CONFIGURED": Code(501, "This server makes no JWTs.", "Set PYLON_JWT_ISSUER."),
    "API_KEY_AUTH_FORBIDDEN": Code(403, "An API key may not do this.", "Sign in and send the session's token instead."),
    "REAUTHENTICATION_REQUIRED": Code(
        403, "This needs a sign-in of the last minutes.", "Sign in again, then repeat the request."
    ),
    "SECOND_FACTOR_REQUIRED": Code(
        401,
        "The first factor was right, and the account has a second one.",
        "Send `challenge` and the code of the authenticator app to POST /api/auth/totp/login within five minutes.",
    ),
    "SECOND_FACTOR_MISSING": Code(
        403,
        "Everybody needs a second factor in this app or organisation, and this session has not shown one.",
        "Set one up with POST /api/auth/totp/enroll and /verify, or with a passkey. `set_up` lists what there is to "
        "show already: send an app's code to POST /api/auth/totp/verify, or sign in with the passkey.",
    ),
    "SECOND_FACTOR_DEMANDED": Code(
        409, "This is the account's last second factor, and everybody needs one here.", "Set up another one first."
    ),
    "CHALLENGE_EXPIRED": Code(
        401, "The sign-in that this continues is over: too old, used, or too many wrong codes.", "Sign in anew."
    ),
    "INVALID_TOTP_CODE": Code(
        401,
        "The code is wrong, was used already, or is not of the last half minute.",
        "Wait for the next code of the app, or use a backup code. Check the clock of the phone.",
    ),
    "MISSING_CODE": Code(400, "The request carries no code.", "Send `code` as a string."),
    "PASSKEY_REGISTER_FAILED": Code(
        401,
        "The passkey could not be registered: its challenge, origin or contents were not right.",
        "Begin again; PYLON_WEBAUTHN_ORIGIN names the pages that may. The audit log has the reason.",
    ),
    "PASSKEY_VERIFY_FAILED": Code(
        401, "The passkey could not be verified, for whatever reason.", "Begin again; the audit log has the reason."
    ),
    "TOTP_NOT_ENROLLED": Code(400, "The account has no authenticator app.", "Begin with POST /api/auth/totp/enroll."),
    "CAPTCHA_FAILED": Code(
        400, "The captcha was not solved, or too long ago.", "Solve it and send its token as `captchaToken`."
    ),
    "INVALID_EMAIL": Code(400, "This is not an e-mail address.", "Check it for typing errors."),
    "DISPOSABLE_EMAIL": Code(
        400,
        "Throw-away addresses are not taken.",
        "Use another address. Operators: PYLON_EMAIL_BLOCKLIST_DISABLED=1 takes them.",
    ),
    "ACCOUNT_LINK_REQUIRED": Code(
        409,
        "An account with this address exists already, and who came has not proved to own the address.",
        "Sign in to that account as before, then link the other one in its settings.",
    ),
    "ACCOUNT_TAKEN": Code(
        409, "That account elsewhere is linked to another user.", "Unlink it there first, or sign in with it."
    ),
    "EMAIL_NOT_VERIFIED": Code(
        403,
        "The user has not proved to own its e-mail address.",
        "POST /api/auth/email/send-verification, then POST /api/auth/email/verify with the code.",
    ),
    "MAIL_NOT_CONFIGURED": Code(501, "This server sends no mail.", "Set PYLON_EMAIL_PROVIDER and what it needs."),
    "MAIL_FAILED": Code(
        502, "The mail server or provider did not take a letter.", "The message says why; `pylon mail list` has others."
    ),
    "MAIL_EXPIRED": Code(409, "What the letter tells is of no use any more.", "Have a new one sent."),
    "MAIL_TEMPLATE_INVALID": Code(
        500, "A template of the app's own for mail can't be used.", "The message names the file and what is wrong."
    ),
    "EMAIL_TAKEN": Code(409, "An account with this address exists already.", "Sign in, or reset its password."),
    "INVALID_CODE": Code(
        401, "The code is wrong, used or expired.", "Ask for a new one; a code is good for ten minutes."
    ),
    "INVALID_TOKEN": Code(401, "The link is unknown, used or expired.", "Ask for a new one."),
    "INVALID_CREDENTIALS": Code(
        401,
        "The address or the password is wrong.",
        "Try again, or reset the password: POST /api/auth/password/reset/request.",
    ),
    "WRONG_PASSWORD": Code(401, "The current password is wrong.", "Try again, or reset the password."),
    "NO_PASSWORD_SET": Code(400, "The account has no password.", "Set one: POST /api/auth/password/reset/request."),
    "PWNED_PASSWORD": Code(
        400,
        "The password is known from breaches.",
        "Choose another. Operators: PYLON_DISABLE_HIBP=1 takes such passwords.",
    ),
    "USER_NOT_FOUND": Code(404, "The user has no row any more, or another address.", "Sign up, or ask for a new link."),
    "MISSING_EMAIL": Code(400, "The request carries no address.", "Send `email` as a string."),
    "MISSING_TOKEN": Code(400, "The request carries no token.", "Send `token` as the link has it."),
    "MISSING_PASSWORD": Code(
        400, "The request carries no password.", "The message names the field; send it as a string."
    ),
    "WEAK_PASSWORD": Code(400, "The password is too short or too long.", "Choose one as the message says."),
    "PROVIDER_NOT_FOUND": Code(
        404,
        "This provider is not one to sign in with here.",
        "`GET /api/auth/providers` lists those that are; operators set PYLON_OAUTH_<NAME>_*.",
    ),
    "PROVIDER_NOT_CONFIGURED": Code(
        501, "The provider is not set up on this server any more.", "Set PYLON_OAUTH_<NAME>_* again."
    ),
    "MISSING_PROVIDER": Code(400, "No provider was named.", "Name it in the path: `/api/auth/oauth/refresh/<name>`."),
    "MISSING_CALLBACK": Code(
        400, "It was not said where the sign-in leads back to.", "Add `callback`, a page of a trusted origin."
    ),
    "OAUTH_PROVIDER_BROKEN": Code(
        500,
        "The provider can't be reached, or is not the one that it was.",
        "Operators: the log says what its discovery document lacks; check the issuer.",
    ),
    "OAUTH_INVALID_STATE": Code(
        403,
        "The sign-in was not begun in this browser, took longer than ten minutes, or was ended already.",
        "Begin again at `/api/auth/login/<name>`, on the same host and with cookies.",
    ),
    "OAUTH_DENIED": Code(403, "The provider did not sign the user in.", "Try again and agree, or choose another way."),
    "OAUTH_TOKEN_EXCHANGE_FAILED": Code(
        502,
        "The provider refused the code, or did not say who it is.",
        "Operators: check the client's id, secret and redirect address with the provider.",
    ),
    "OAUTH_ID_TOKEN_INVALID": Code(
        401,
        "The provider's id_token was refused: its signature, issuer, audience, time or nonce.",
        "Begin again. Operators: the log says why.",
    ),
    "CONNECTIONS_NOT_CONFIGURED": Code(
        501,
        "The provider of this connection is not set up on this server.",
        "Set PYLON_OAUTH_<NAME>_CLIENT_ID and PYLON_OAUTH_<NAME>_CLIENT_SECRET of its provider.",
    ),
    "CONNECTION_UNKNOWN": Code(404, "The app declares no connection of this name.", "GET /api/connections lists them."),
    "CONNECTION_NOT_LINKED": Code(
        404,
        "The user has not linked this connection.",
        "POST /api/connections/<name>/auth-url and send the browser where it says.",
    ),
    "CONNECTION_REQUIRES_AUTH": Code(401, "A connection is a signed-in user's.", "Sign in, then call again."),
    "LOGOUT_TOKEN_INVALID": Code(
        400,
        "The provider's word that somebody signed out is not signed by it, not for this server, too old, or was used.",
        "The log has the reason.",
    ),
    "INVALID_ID_TOKEN": Code(
        401,
        "The token of a phone's sign-in was refused, or used before.",
        "Let the phone sign in again. Operators: PYLON_OAUTH_<NAME>_NATIVE_CLIENT_IDS names the apps.",
    ),
    "PROVIDER_KEYS_UNAVAILABLE": Code(503, "The provider's keys can't be fetched now.", "Try again in a moment."),
    "OAUTH_NO_EMAIL": Code(
        400, "The provider gave no e-mail address.", "Allow it with the provider, or choose another way."
    ),
    "ACCOUNT_NOT_FOUND": Code(404, "No such account is linked.", "`GET /api/auth/link` lists those that are."),
    "LAST_METHOD": Code(
        409, "Nothing else would let the user in.", "Set a password, verify the address or link another account first."
    ),
    "NO_REFRESH_TOKEN": Code(
        400,
        "There are no tokens of the provider that could be renewed.",
        "Operators: name `offline_access` in PYLON_OAUTH_<NAME>_SCOPES; then sign in again.",
    ),
    "REFRESH_FAILED": Code(502, "The provider did not renew the tokens.", "Sign in with the provider again."),
    "UNTRUSTED_REDIRECT": Code(
        403,
        "A sign-in may lead back to trusted origins only.",
        "Add the origin to PYLON_TRUSTED_ORIGINS or to auth.trusted_origins.",
    ),
    "PUBLIC_URL_MISSING": Code(
        500, "A link was to be sent, and the server does not know its own address.", "Set PYLON_PUBLIC_URL."
    ),
    "ORG_NOT_CONFIGURED": Code(
        501,
        "This app has no organisations.",
        "Declare the entities Org, OrgMember and OrgInvite, as the guide on organisations shows, and leave "
        "`organisations` on in the auth block.",
    ),
    "ORG_CREATE_FAILED": Code(
        400,
        "The organisation could not be made: the app lacks an entity for it, or its Org wants more than a name.",
        "Declare Org, OrgMember and OrgInvite as the guide shows; further fields of theirs must be optional.",
    ),
    "ORG_NOT_FOUND": Code(404, "There is no such organisation, or the caller is no member.", "List those one is in."),
    "ORG_LIMIT_REACHED": Code(
        409, "An organisation, or its user, has as many of these as one may have.", "Remove some that are not needed."
    ),
    "MISSING_NAME": Code(400, "A name is required.", "Send one line of at most 200 characters."),
    "INVALID_NAME": Code(400, "The name is empty or too long.", "Send one line of at most 200 characters."),
    "MISSING_ORG_ID": Code(400, "No organisation was given.", 'Send {"orgId": "..."}, or null to leave it.'),
    "BAD_ROLE": Code(400, "No such role.", "Use owner, admin, member or one of the app's `org_roles`."),
    "LAST_OWNER": Code(
        400,
        "An organisation keeps at least one owner.",
        "Make another member the owner first, or delete the organisation.",
    ),
    "NOT_A_MEMBER": Code(404, "The user is no member of the organisation.", "Check the ids; invite the user first."),
    "ALREADY_MEMBER": Code(400, "The user is a member already.", "Change its role instead."),
    "NO_ACTIVE_TENANT": Code(400, "No organisation is active.", "Choose one with POST /api/auth/select-org."),
    "INVITE_NOT_FOUND": Code(
        400, "The invitation does not exist, or was taken back.", "Ask whoever invited you for a new one."
    ),
    "INVITE_EXPIRED": Code(400, "The invitation is past its time.", "Ask for a new one."),
    "ALREADY_ACCEPTED": Code(400, "The invitation was accepted already.", "Ask for a new one."),
    "WRONG_EMAIL": Code(400, "The invitation is for another address.", "Sign in with the account of that address."),
    "NO_EMAIL": Code(400, "The account has no e-mail address.", "Add the address that was invited."),
    "ACCOUNT_DELETE_HOOK_FAILED": Code(
        409,
        "The app's `on_delete_account` function refused or failed, and nothing was deleted.",
        "Read the message, which is the function's own, and the server's log.",
    ),
    "ACCOUNT_DELETE_HOOK_MISSING": Code(
        501, "The app names an `on_delete_account` function that is not there.", "Declare it, or take the setting out."
    ),
    "USER_ENTITY_MISSING": Code(
        500, "The app keeps no users.", "Declare an entity User with an `email`, or name yours in the auth block."
    ),
    "MERGE_TOO_LARGE": Code(
        409, "The guest has more rows than one sign-in takes over.", "Move them with a function of your own."
    ),
    "KEYS_CONFIGURED": Code(
        409,
        "The secret keys are configured, so the server can't make another.",
        "Put a new key in front of the others in PYLON_SECRET_KEY, restart, and run `pylon keys reencrypt`.",
    ),
    "ENCRYPTION_NOT_CONFIGURED": Code(
        500,
        "The app has encrypted fields, and the process that opened its data has no secret keys.",
        "Open the data through the server, which loads PYLON_SECRET_KEY or secret.key.",
    ),
    "SEALED_UNREADABLE": Code(
        500,
        "What is stored was sealed with another key than this server has.",
        "Put the earlier key back into PYLON_SECRET_KEY or secret.key, after the current one.",
    ),
    "NOT_IN_ROOM": Code(
        403, "The caller is not a member of the room.", "POST /api/rooms/join first, and again after a reconnect."
    ),
    "REMOVED_FROM_ROOM": Code(
        403,
        "The app sent the caller out of the room.",
        "Join again only if the user asks for it; the app may refuse.",
    ),
    "NOT_FOUND": Code(404, "There is no such row or route.", "Check the id or the path."),
    "ENTITY_NOT_FOUND": Code(
        404, "The app declares no such entity.", "Entity names are case-sensitive; `GET /api/manifest` lists them."
    ),
    "FN_NOT_FOUND": Code(
        404, "The app declares no such function.", "Check the name; `GET /api/fn` lists them (admin)."
    ),
    "STREAM_GONE": Code(410, "The stream's earlier frames are no longer kept.", "Call the function again."),
    "STREAM_NOT_FOUND": Code(404, "The stream is unknown or expired.", "Call the function again."),
    "METHOD_NOT_ALLOWED": Code(405, "The path exists, the method does not.", "The Allow header lists the methods."),
    "CONFLICT": Code(409, "The request conflicts with the current state.", "Read the row again and retry."),
    "RESYNC_REQUIRED": Code(
        410, "The cursor is not from this log's window.", "Drop the local replica and pull with since=0."
    ),
    "BAD_PATH": Code(400, "The path names no row.", "POST /api/crdt/{entity}/{row id}, both percent-encoded."),
    "MISSING_UPDATE": Code(400, "The body has no update.", 'Send {"update": "<hex>"}.'),
    "INVALID_HEX": Code(
        400, "The update is not hexadecimal.", "Encode the bytes that loro exports as hex, two digits each."
    ),
    "NOT_SUPPORTED": Code(
        400,
        "The entity does not do what was asked of it.",
        "The message says what; rows have documents unless the entity is declared with crdt=False.",
    ),
    "ROW_NOT_FOUND": Code(404, "There is no such row.", "Check the id; the row may have been deleted meanwhile."),
    "CRDT_DECODE_FAILED": Code(
        400, "The update is not one that loro can read.", "Send what `doc.export` returned, whole and unchanged."
    ),
    "CRDT_APPLY_FAILED": Code(
        400,
        "The update would give the row values that its fields don't take; nothing of it was applied.",
        "The message names the field and what it takes.",
    ),
    "CRDT_OUTDATED": Code(
        409,
        "The update builds on a state that the server's document no longer has, or never had.",
        "Drop the local document, subscribe again, and make the edit in the one that arrives.",
    ),
    "DOCUMENT_TOO_LARGE": Code(
        413,
        "The document would grow over its limit, its history already trimmed.",
        "Split it into several rows, or raise PYLON_CRDT_DOCUMENT_MAX_BYTES.",
    ),
    "PAYLOAD_TOO_LARGE": Code(
        413, "The body is larger than the limit.", "Send less at once, or raise PYLON_HTTP_BODY_MAX_BYTES."
    ),
    "MAINTENANCE": Code(
        503,
        "The operator has switched this off for now; the message says why.",
        "Retry when Retry-After says. Operators: `pylon maintenance status` lists what is off.",
    ),
    "BLOCKED": Code(
        403,
        "The operator has blocked this user or address.",
        "Ask the operator. Operators: `pylon switch list` shows the block, `pylon switch off` lifts it.",
    ),
    "BUDGET_EXCEEDED": Code(
        429,
        "What may be used in this period is used up.",
        "Wait for the next period. Operators: `pylon budget list` shows the limits, `pylon usage` who used them.",
    ),
    "RATE_LIMITED": Code(429, "Too many requests.", "Wait as long as Retry-After says."),
    "ROOM_LIMIT_REACHED": Code(
        429,
        "A limit of rooms is reached: their number, a room's members or data, or the rooms of one user.",
        "Leave rooms that are not used any more, or raise PYLON_ROOMS_MAX, PYLON_ROOM_MEMBERS_MAX or "
        "PYLON_ROOMS_PER_USER_MAX.",
    ),
    "OVERLOADED": Code(503, "The server is at a limit and sheds load.", "Retry after a moment, with jitter."),
    "STREAM_OVERLOADED": Code(503, "The server is at its streaming limit.", "Retry after a moment, with jitter."),
    "SHUTTING_DOWN": Code(503, "The server is stopping.", "Retry: the next process answers."),
    "AUDIT_UNAVAILABLE": Code(
        503,
        "The entity is shown only while its reads can be recorded, and the audit log takes no more.",
        "Retry shortly; if it persists, look at the server's log and disk.",
    ),
    "STORAGE_UNAVAILABLE": Code(
        503,
        "The store did not accept the write; nothing of it was applied.",
        "Retry; if it persists, look at the server's log and disk.",
    ),
    "STORAGE_FULL": Code(
        507,
        "The disk is full; nothing of this write was applied. Reads go on.",
        "Free space; writes recover by themselves.",
    ),
    "QUERY_TIMEOUT": Code(
        503,
        "The read took longer than the time limit and was interrupted.",
        "Narrow the filter, add an index, or raise PYLON_READ_TIMEOUT_MS.",
    ),
    "UNREACHABLE": Code(
        503, "The client got no answer.", "Check the address, the network, and whether the server runs; then retry."
    ),
    "SOCKET_CLOSED": Code(503, "The client's socket is closed.", "A replica connects again by itself."),
    "QUEUE_FULL": Code(
        507, "The client's queue holds as many changes as it may.", "Wait until it is connected and has sent them."
    ),
    "REPLICA_LOCKED": Code(
        409, "Another process has the client's replica open.", "Stop it, or give each process a file of its own."
    ),
    "REPLICA_UNREADABLE": Code(
        409, "The client's file is not a replica that it can use.", "Name another file, or remove this one."
    ),
    "REPLICA_UNWRITABLE": Code(
        507, "The client's replica could not be written; the change was not kept.", "Check the disk and its free space."
    ),
    "REPLICA_STOPPED": Code(409, "The client's replica is closed.", "Open it again."),
    "INTERNAL": Code(500, "An unexpected error.", "Look the request id up in the server's log."),
    "SEARCH_NOT_CONFIGURED": Code(
        400, "The entity declares no full-text search.", "Filter with `$like`, or declare `search` on the entity."
    ),
    "SCHEMA_REFUSED": Code(
        500,
        "The declared schema can't be applied to the live database without losing or inventing data.",
        "The message names the column; the hint says how to get there.",
    ),
    "MIGRATION_INVALID": Code(
        500, "A file in the folder of migrations is none.", "The message says what is wrong with it."
    ),
    "MIGRATION_FAILED": Code(
        500,
        "A migration raised an error; what was committed before it stays, and it goes on there.",
        "The message names the row or statement. Mend it, then `pylon migrate apply` again.",
    ),
    "MIGRATION_UNFINISHED": Code(
        500,
        "A migration stopped half-way: some rows are as before it, others as after it.",
        "`pylon migrate apply` (or `rollback`) goes on where it stopped.",
    ),
    "MIGRATION_DESTRUCTIVE": Code(
        409, "A migration deletes rows or drops a table.", "Add --allow-destructive; a backup is taken first."
    ),
    "MIGRATION_IRREVERSIBLE": Code(
        409,
        "A migration says nothing of how to undo it.",
        "Write its `down`, or go back to the backup from before it with `pylon migrate rollback --restore`.",
    ),
    "CONFIG_INVALID": Code(
        500,
        "A setting asks for what this release does not have.",
        "The message names the variable; `pylon env` lists all of them.",
    ),
    "DATA_DIR_LOCKED": Code(
        500,
        "Another process uses the data folder.",
        "Stop it, or give this one another folder with --data-dir or PYLON_DATA_DIR.",
    ),
    "INCIDENT_NOT_FOUND": Code(
        404, "There is no such incident, or none is open.", "`pylon incident list` shows all of them."
    ),
    "INCIDENT_OPEN": Code(
        409,
        "An incident is open already.",
        "Note in that one, close it with `pylon incident close`, or start another with --parallel.",
    ),
    "INCIDENT_CLOSED": Code(409, "The incident is closed already.", "Notes may still be added; closing is done once."),
    "INCIDENT_FULL": Code(409, "The incident holds as many notes as it may.", "Start another with --parallel."),
    "BACKUP_NOT_CONFIGURED": Code(
        409, "The server has no place for backups.", "Set PYLON_BACKUP_TARGET, or run `pylon backup DIR`."
    ),
    "BACKUP_RUNNING": Code(409, "A backup is being taken.", "Wait until it is done."),
    "BACKUP_NOT_FOUND": Code(404, "There is no such backup.", "`pylon backup list` shows what a place holds."),
    "BACKUP_EMPTY": Code(
        500, "There is no database to back up; nothing was written.", "Name the data folder with --data-dir."
    ),
    "BACKUP_FAILED": Code(
        500,
        "The backup could not be made; nothing that looks like one was left.",
        "The message says why; check the disk.",
    ),
    "BACKUP_TARGET_EXISTS": Code(409, "Something stands where the backup should go.", "Name a new folder or file."),
    "BACKUP_TARGET_INVALID": Code(500, "The place of the backups is not an address.", "Write a folder or s3://bucket."),
    "BACKUP_TARGET_UNREACHABLE": Code(
        502, "The bucket does not answer, or refuses.", "Check the AWS_* variables and PYLON_S3_ENDPOINT."
    ),
    "BACKUP_INVALID": Code(
        422, "The backup is damaged, cut or altered, and is not restored.", "Use another one; keep this for forensics."
    ),
    "BACKUP_KEY_REFUSED": Code(
        400,
        "The backup is encrypted, and the key is missing or wrong.",
        "Give the passphrase or identity it was made for.",
    ),
    "BACKUP_TOO_NEW": Code(409, "A newer Pylon made the backup.", "Restore it with that release or a newer one."),
    "RESTORE_TARGET_NOT_EMPTY": Code(
        409, "The data folder holds something.", "Add --replace, which moves it aside, or name a new folder."
    ),
    "RESTORE_NO_BASE": Code(
        409, "No backup leads to that time.", "Name a later time, or a place that holds older backups."
    ),
    "RESTORE_NO_APP": Code(
        409, "What the archived changes are of is not known.", "Name the app with --app: it declares the entities."
    ),
    "RESTORE_FAILED": Code(
        500, "The backup could not be restored; the target is as it was.", "The message says why; check the disk."
    ),
    "RESTORE_UNFINISHED": Code(
        500, "A restore stopped half-way in this data folder.", "Run the same `pylon restore` again with --replace."
    ),
    "ARCHIVE_GAP": Code(
        409,
        "The archive lacks changes between the backup and the time asked for.",
        "Name an earlier time or a later backup.",
    ),
    "EXTRA_MISSING": Code(500, "An optional package is not installed.", "The hint names the command that installs it."),
    "MANIFEST_INVALID": Code(500, "The app's declaration is invalid.", "Fix the named class and field."),
    "PLUGIN_INVALID": Code(
        500, "A plugin doesn't fit: its name, a hook, what it declares, or how it started.", "The message names both."
    ),
    "PLUGIN_ROUTE_TAKEN": Code(
        500,
        "A plugin's route would shadow another one.",
        "Give it another path; the message names both.",
    ),
}
