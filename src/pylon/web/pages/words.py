"""Every word that the pages say. An app says it differently with `auth/words.json` beside its code: the same keys, one
object for all languages or one for each (`{"de": {…}}`)."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: dict[str, str] = {
    "sign_in": "Sign in",
    "sign_in_to": "Sign in to {app}",
    "sign_up": "Create an account",
    "sign_out": "Sign out",
    "email": "E-mail address",
    "password": "Password",
    "new_password": "New password",
    "current_password": "Current password",
    "name": "Name",
    "code": "Code",
    "continue": "Continue",
    "send_code": "Send me a code",
    "or": "or",
    "with_provider": "Continue with {provider}",
    "with_passkey": "Sign in with a passkey",
    "with_code": "Sign in with a code by mail",
    "with_password": "Sign in with a password",
    "no_account": "No account yet?",
    "have_account": "You have an account?",
    "forgot": "Forgot your password?",
    "reset": "Reset your password",
    "reset_sent": "If there is an account for {email}, a mail with a link is on its way.",
    "reset_choose": "Choose a new password",
    "code_sent": "We sent a code to {email}. It is good for ten minutes.",
    "dev_code": "Development mode: the code is {code}",
    "second_factor": "Confirm that it is you",
    "second_factor_hint": "Enter the code of your authenticator app, or one of your backup codes.",
    "set_up_factor": "Add a second factor",
    "set_up_factor_hint": "Everybody here signs in with more than one proof. Choose yours; you need it from now on.",
    "show_passkey": "Everybody here signs in with more than one proof. Show your passkey.",
    "totp_set_up_app": "Set up an authenticator app",
    "trust_device": "Don't ask on this device again",
    "verify": "Confirm your address",
    "verify_hint": "Enter the code that we sent you.",
    "verify_again": "Send another code",
    "verified": "Your address is confirmed.",
    "email_change": "Confirm your new address",
    "email_changed": "Your address is changed.",
    "account": "Your account",
    "sessions": "Where you are signed in",
    "this_session": "this browser",
    "last_used": "last used {when}",
    "revoke": "End",
    "revoke_all": "Sign out everywhere",
    "change_password": "Change your password",
    "change_email": "Change your e-mail address",
    "change_email_sent": "We sent a link to {email}. The change takes effect when you open it.",
    "totp": "Authenticator app",
    "totp_on": "On. Backup codes left: {count}.",
    "totp_off": "Off. A code of an app keeps others out even if they know your password.",
    "totp_set_up": "Set it up",
    "totp_scan": "Scan this with your app, then enter the code that it shows.",
    "totp_secret": "Or enter this key by hand: {secret}",
    "totp_disable": "Turn it off",
    "totp_codes": "New backup codes",
    "backup_codes": "Your backup codes",
    "backup_codes_hint": "Each works once. Keep them where you find them without your phone; they are shown this once.",
    "passkeys": "Passkeys",
    "add_passkey": "Add a passkey",
    "api_keys": "API keys",
    "api_key_name": "What it is for",
    "api_key_create": "Create a key",
    "api_key_made": "Your new key, shown this once:",
    "links": "Linked accounts",
    "link": "Link {provider}",
    "unlink": "Unlink",
    "organisations": "Organisations",
    "delete_account": "Delete your account",
    "delete_account_hint": "This can't be undone. Type your e-mail address to confirm.",
    "delete_account_mismatch": "That is not your address.",
    "remove": "Remove",
    "back": "Back",
    "done": "Done.",
    "failed": "That did not work",
    "INVALID_CREDENTIALS": "Address and password don't fit each other.",
    "INVALID_CODE": "That code is not right, or no longer good.",
    "INVALID_TOKEN": "This link is not good any more. Ask for a new one.",
    "RATE_LIMITED": "Too many attempts. Wait a little, then try again.",
    "INVALID_TOTP_CODE": "That is not the code. Wait for the next one and try again.",
    "SECOND_FACTOR_DEMANDED": "Everybody here needs a second factor: set up another first.",
    "CHALLENGE_EXPIRED": "That took too long. Sign in again.",
    "WEAK_PASSWORD": "Choose a longer password: at least 10 characters.",
    "PWNED_PASSWORD": "This password is known from a breach elsewhere. Choose another.",
    "WRONG_PASSWORD": "Your current password is not right.",
    "EMAIL_TAKEN": "There is an account for this address already.",
    "INVALID_EMAIL": "That is not an e-mail address.",
    "REAUTHENTICATION_REQUIRED": "Sign in again first, then repeat this.",
    "MAINTENANCE": "Signing in is switched off for the moment.",
}


def translator(own: Mapping[str, str]) -> Words:
    """The words of one language, an app's own first."""
    return Words({**WORDS, **own})


class Words:
    """Says things by their key."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words

    def __call__(self, key: str, **values: object) -> str:
        """The words of a key, with values put in; the key itself where nobody wrote any."""
        words = self._words.get(key, key)
        return words.format(**values) if values else words

    def error(self, code: str, message: str) -> str:
        """What a person is told of an error."""
        return self._words.get(code) or message or self._words["failed"]
