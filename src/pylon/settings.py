"""Every `PYLON_*` variable, read once into one typed, frozen `Settings`. Nothing else in Pylon reads the environment.

Each variable is described once, at the field it fills; `pylon env` and `docs/reference/env.md` are made from the same
description. This module reads no files: `pylon.cli.envfile` merges `.env` files into the mapping that `load` is given.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pylon.oauth_settings import OAuthClient, is_oauth_variable, read_clients

MIN_TOKEN_LENGTH = 16
"""The shortest admin or metrics token that is accepted outside dev mode."""


MIN_SECRET_LENGTH = 32
"""The shortest key that anything is sealed with."""


class LogFormat(enum.StrEnum):
    PRETTY = "pretty"
    JSON = "json"


class SameSite(enum.StrEnum):
    """Which requests of other sites a browser sends the session cookie with. `none` needs HTTPS."""

    LAX = "lax"
    STRICT = "strict"
    NONE = "none"


class UserVerification(enum.StrEnum):
    """Whether a passkey's device must know its owner."""

    REQUIRED = "required"
    PREFERRED = "preferred"
    DISCOURAGED = "discouraged"


class JwtAlgorithm(enum.StrEnum):
    """What JWTs are signed with."""

    ES256 = "ES256"
    ED25519 = "Ed25519"
    HS256 = "HS256"


class CaptchaProvider(enum.StrEnum):
    HCAPTCHA = "hcaptcha"
    TURNSTILE = "turnstile"
    RECAPTCHA = "recaptcha"


class EmailProvider(enum.StrEnum):
    """What carries mail. `console` shows it in the terminal, in dev mode only."""

    SMTP = "smtp"
    RESEND = "resend"
    SENDGRID = "sendgrid"
    WEBHOOK = "webhook"
    CONSOLE = "console"
    OFF = "off"


class SmtpSecurity(enum.StrEnum):
    """How the connection to the mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    OFF = "off"


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Synchronous(enum.StrEnum):
    """When SQLite waits for the disk. NORMAL may lose the last commits on power loss, never on a crash."""

    FULL = "FULL"
    NORMAL = "NORMAL"


@dataclass(frozen=True, slots=True)
class Problem:
    """One malformed or refused variable: its name, what is wrong with it, and the mend. Never carries a secret."""

    variable: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.what}. {self.mend}"


class SettingsError(Exception):
    """The environment is malformed or unsafe: Pylon refuses to start. `problems` names every variable and its mend."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class _RefusedError(ValueError):
    """A value that a parser does not take; its text completes the sentence `PYLON_X: ...`."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


Parse = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable. `default` and `dev_default` are shown to people; the values live in the field."""

    name: str
    attribute: str
    default: str
    dev_default: str
    description: str
    secret: bool
    parse: Parse


def _whole(low: int, high: int | None = None) -> Parse:
    def parse(text: str) -> int:
        span = f"a whole number from {low} to {high}" if high is not None else f"a whole number of at least {low}"
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low or (high is not None and number > high):
            raise _RefusedError(f"expected {span}, got {text!r}", "Correct it, or leave it unset for the default")
        return number

    return parse


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e9:
        raise _RefusedError(f"expected seconds greater than 0, got {text!r}", "Write a number such as 30 or 2.5")
    return number


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise _RefusedError(f"expected a number from 0, got {text!r}", "Write a number such as 200, or 0 for no limit")
    return number


def _switch(text: str) -> bool:
    match text.lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
    raise _RefusedError(f"expected true or false, got {text!r}", "Write 1 or 0 (true/false, yes/no, on/off also work)")


def _choice(values: type[enum.StrEnum]) -> Parse:
    by_name = {value.value.lower(): value for value in values}

    def parse(text: str) -> enum.StrEnum:
        try:
            return by_name[text.lower()]
        except KeyError:
            allowed = ", ".join(value.value for value in values)
            raise _RefusedError(f"expected one of {allowed}, got {text!r}", "Choose one of them") from None

    return parse


def _words(text: str) -> tuple[str, ...]:
    return tuple(part for part in (raw.strip() for raw in text.split(",")) if part)


def _origins(text: str) -> tuple[str, ...]:
    origins = _words(text)
    for origin in origins:
        scheme, mark, host = origin.partition("://")
        clean = origin.isascii() and origin.isprintable() and not any(c in host for c in "/?#@ ")
        if origin != "*" and not (mark and scheme and host and clean):
            raise _RefusedError(
                f"{origin!r} is not an origin",
                "Write scheme, host and port without a path, comma-separated: https://app.example.com",
            )
    return tuple(origin.lower() for origin in origins)


def _is_within(origin: str, domain: str | None) -> bool:
    """Whether a browser lets a page of this origin use passkeys of a domain."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    is_secure = parts.scheme == "https" or host == "localhost" or host.endswith(".localhost")
    return is_secure and (domain is None or host == domain or host.endswith(f".{domain}"))


def _networks(text: str) -> tuple[str, ...]:
    import ipaddress  # only where one is named

    networks = _words(text)
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise _RefusedError(f"{network!r} is not a network", "Write 10.1.0.0/16, or one address") from None
    return networks


def _secret_keys(text: str) -> tuple[str, ...]:
    keys = _words(text)
    if not keys or any(len(key) < MIN_SECRET_LENGTH for key in keys):
        raise _RefusedError(
            f"a key is shorter than {MIN_SECRET_LENGTH} characters", "`openssl rand -hex 32` prints one that is not"
        )
    return keys


def _domain(text: str) -> str:
    domain = text.lower().lstrip(".")
    if not domain or not all(c.isascii() and (c.isalnum() or c in "-.") for c in domain):
        raise _RefusedError(f"{text!r} is not a domain", "Write one such as example.com")
    return domain


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise _RefusedError(f"expected a number from 0 to 1, got {text!r}", "Write a number such as 0.5")
    return number


def _cookie_name(text: str) -> str:
    if not all(c.isascii() and (c.isalnum() or c in "_-.") for c in text):
        raise _RefusedError(f"{text!r} is not a cookie name", "Use letters, digits, '_', '-' and '.' only")
    return text


def _database_url(text: str) -> str:
    if not text.startswith(("postgres://", "postgresql://")):
        raise _RefusedError(
            "not a Postgres URL",
            "Write postgresql://user@host/database, or leave it unset for SQLite",
        )
    return text


def _http_url(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    host = rest.partition("/")[0]
    if scheme.lower() not in ("http", "https") or not mark or not host or "@" in host or " " in text:
        raise _RefusedError("not an http or https URL without credentials", "Write one such as http://127.0.0.1:4318")
    return text.rstrip("/")


def _text(text: str) -> str:
    return text


def _page(text: str) -> str:
    if text.startswith("/") and not text.startswith("//") and text.isprintable() and "\\" not in text:
        return text
    return _http_url(text)


def _mailbox(text: str) -> str:
    from email.utils import parseaddr  # only here: few servers set it, and each import is felt at cold start

    address = parseaddr(text)[1]
    local, _, domain = address.rpartition("@")
    if not local or not domain or not text.isprintable():
        raise _RefusedError(f"{text!r} is no sender", "Write noreply@example.com, or Example <noreply@example.com>")
    return text


def _seconds_or_off(text: str) -> float:
    return 0.0 if text.strip("0.") == "" and text.strip(".") else _seconds(text)


def _backup_target(text: str) -> str:
    if "://" in text and not (text.startswith("s3://") and text.removeprefix("s3://").strip("/")):
        raise _RefusedError(f"{text!r} is no place for backups", "Write a folder, or s3://bucket/prefix")
    return text


def _recipient(text: str) -> str:
    if not text.startswith("age1"):
        raise _RefusedError("not an age public key", "It begins with age1; `age-keygen` makes one")
    return text


def _endpoint(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise _RefusedError(f"{text!r} is not a URL", "Write https://host or http://host:port")
    return text


def _variable(
    name: str,
    default: Any,
    parse: Parse,
    description: str,
    *,
    dev: Any = dataclasses.MISSING,
    shown: str | None = None,
    shown_dev: str | None = None,
    secret: bool = False,
) -> Any:
    """A dataclass field filled from `name`. `dev` is the default in dev mode where that differs; `shown` and
    `shown_dev` describe a default that does not print well."""
    text = _show(default) if shown is None else shown
    dev_text = shown_dev if shown_dev is not None else text if dev is dataclasses.MISSING else _show(dev)
    described = {
        "name": name,
        "parse": parse,
        "description": description,
        "default": text,
        "dev_default": dev_text,
        "secret": secret,
        "dev": default if dev is dataclasses.MISSING else dev,
    }
    return dataclasses.field(default=default, metadata=described)


def _limit(name: str, default: int, description: str) -> Any:
    """A limit on a step of signing in, off in dev mode."""
    return _variable(name, default, _whole(0), f"{description} 0 means no limit.", dev=0)


def _show(value: Any) -> str:
    match value:
        case None | ():
            return "unset"
        case bool():
            return "true" if value else "false"
        case tuple():
            return ",".join(str(part) for part in value)
        case _:
            return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The effective configuration of one process. Attributes are the variable's name in lower case without
    `PYLON_`; lists are plural. Sizes are bytes, times carry their unit in the name or are seconds."""

    # Where it listens and what it stores
    port: int = _variable(
        "PYLON_PORT",
        4321,
        _whole(0, 65535),
        "HTTP port. WebSocket for older clients listens on the next port, SSE on the one after. 0 takes a free port.",
    )
    host: str = _variable(
        "PYLON_HOST",
        "0.0.0.0",  # noqa: S104 - a server listens on every interface; `pylon dev` narrows it to loopback
        _text,
        "Address to listen on. `pylon dev` listens on 127.0.0.1 unless this is set.",
    )
    extra_ports: bool = _variable(
        "PYLON_EXTRA_PORTS",
        True,
        _switch,
        "Also listen on port+1 (WebSocket) and port+2 (SSE), as older clients expect.",
    )
    sse_port_disable: bool = _variable("PYLON_SSE_PORT_DISABLE", False, _switch, "Do not listen on port+2 (SSE).")
    dev_mode: bool = _variable(
        "PYLON_DEV_MODE",
        False,
        _switch,
        "Development: any origin may call, rate limits are high, dev-only routes are open. `pylon dev` sets it. "
        "Never set it where others can reach the server.",
    )
    data_dir: Path = _variable(
        "PYLON_DATA_DIR",
        Path(".pylon"),
        lambda text: Path(text).expanduser(),
        "Folder of the database, uploads and archives.",
        shown=".pylon beside the app",
    )
    database_url: str | None = _variable(
        "DATABASE_URL",
        None,
        _database_url,
        "Postgres database to use instead of SQLite in the data folder.",
        secret=True,
    )
    sqlite_synchronous: Synchronous = _variable(
        "PYLON_SQLITE_SYNCHRONOUS",
        Synchronous.FULL,
        _choice(Synchronous),
        "FULL makes each acknowledged write survive power loss; NORMAL survives a crash of the process only.",
    )

    # Who may come in
    admin_tokens: tuple[str, ...] = _variable(
        "PYLON_ADMIN_TOKEN",
        (),
        _words,
        f"Admin bearer tokens, comma-separated, so that one can be rotated. At least {MIN_TOKEN_LENGTH} characters "
        "each outside dev mode.",
        secret=True,
    )
    metrics_token: str | None = _variable(
        "PYLON_METRICS_TOKEN",
        None,
        _text,
        f"Bearer token that opens /metrics and nothing else. At least {MIN_TOKEN_LENGTH} characters outside dev mode.",
        secret=True,
    )
    cors_origins: tuple[str, ...] = _variable(
        "PYLON_CORS_ORIGIN",
        (),
        _origins,
        "Origins whose pages may call the API, comma-separated. Unset allows the server's own origin only. "
        "`*` is refused outside dev mode.",
        dev=("*",),
        shown="unset (same origin)",
    )
    csrf_origins: tuple[str, ...] = _variable(
        "PYLON_CSRF_ORIGINS",
        (),
        _origins,
        "Origins that may send cookie-authenticated writes, comma-separated.",
        shown="PYLON_CORS_ORIGIN",
        shown_dev="*",
    )
    cookie_name: str | None = _variable(
        "PYLON_COOKIE_NAME", None, _cookie_name, "Name of the session cookie.", shown="<app>_session"
    )
    cookie_secure: bool = _variable(
        "PYLON_COOKIE_SECURE", True, _switch, "Send the session cookie over HTTPS only.", dev=False
    )
    cookie_domain: str | None = _variable(
        "PYLON_COOKIE_DOMAIN",
        None,
        _domain,
        "Domain whose hosts all get the session cookie. Unset keeps it to this host, which is safer.",
        shown="unset (this host)",
    )
    cookie_same_site: SameSite = _variable(
        "PYLON_COOKIE_SAME_SITE",
        SameSite.LAX,
        _choice(SameSite),
        "SameSite of the session cookie. `none` lets pages of other sites use it and needs PYLON_COOKIE_SECURE.",
    )
    session_secs: int | None = _variable(
        "PYLON_SESSION_SECS",
        None,
        _whole(60),
        "Seconds that a session lives without being used; each use prolongs it.",
        shown="the app's auth.session.expires_in (30 days)",
    )
    session_max_secs: int = _variable(
        "PYLON_SESSION_MAX_SECS",
        15_552_000,
        _whole(0),
        "Longest life of a session in seconds, however much it is used (180 days). 0 means no limit.",
    )
    secret_keys: tuple[str, ...] = _variable(
        "PYLON_SECRET_KEY",
        (),
        _secret_keys,
        "Keys that secrets are sealed and short codes are hashed with, comma-separated: the first is current, the "
        f"others still open what they sealed. At least {MIN_SECRET_LENGTH} characters each.",
        shown="`secret.key` in the data folder, made at the first start",
        secret=True,
    )
    secret_key_lost: bool = _variable(
        "PYLON_SECRET_KEY_LOST",
        False,
        _switch,
        "Start although the key that this database was used with is gone: what it sealed stays closed.",
    )
    public_url: str | None = _variable(
        "PYLON_PUBLIC_URL",
        None,
        _http_url,
        "Address at which people reach this server, such as https://api.example.com: links in mail begin with it.",
    )
    outbound_allow: tuple[str, ...] = _variable(
        "PYLON_OUTBOUND_ALLOW",
        (),
        _networks,
        "Networks that webhooks may call although they are not public, and over plain http too, comma-separated: "
        "10.1.0.0/16, 127.0.0.1.",
    )
    invite_url: str | None = _variable(
        "PYLON_INVITE_URL",
        None,
        _http_url,
        "Page of the app that an invitation to an organisation leads to; it is given the token as `?token=`.",
    )
    trusted_origins: tuple[str, ...] = _variable(
        "PYLON_TRUSTED_ORIGINS",
        (),
        _origins,
        "Origins that a sign-in may lead back to, comma-separated, beside PYLON_PUBLIC_URL and PYLON_CORS_ORIGIN.",
    )
    oauth: tuple[OAuthClient, ...] = ()
    """The providers of PYLON_OAUTH_<NAME>_*, by name (`pylon.oauth_settings`)."""

    oauth_refresh_buffer_secs: int = _variable(
        "PYLON_OAUTH_REFRESH_BUFFER_SECS",
        60,
        _whole(0),
        "Seconds before its end at which a provider's token is renewed when somebody asks for it.",
    )
    admin_emails: tuple[str, ...] = _variable(
        "PYLON_ADMIN_EMAILS",
        (),
        _words,
        "Addresses whose users become admins once they have proved to own them, comma-separated. Needs "
        "auth.user.admin_field.",
    )
    webauthn_rp_id: str | None = _variable(
        "PYLON_WEBAUTHN_RP_ID",
        None,
        _domain,
        "Domain that passkeys are bound to: every page that asks for one is on it or below it. To change it is to lose "
        "them.",
        shown="the host of PYLON_WEBAUTHN_ORIGIN, else of PYLON_PUBLIC_URL",
    )
    webauthn_origins: tuple[str, ...] = _variable(
        "PYLON_WEBAUTHN_ORIGIN",
        (),
        _origins,
        "Origins of pages that may ask for passkeys, comma-separated.",
        shown="that of PYLON_PUBLIC_URL",
        shown_dev="that of PYLON_PUBLIC_URL, else localhost",
    )
    webauthn_user_verification: UserVerification = _variable(
        "PYLON_WEBAUTHN_USER_VERIFICATION",
        UserVerification.PREFERRED,
        _choice(UserVerification),
        "Whether a passkey's device must know its owner (PIN, finger, face). One that does counts as two factors.",
    )
    jwt_issuer: str | None = _variable(
        "PYLON_JWT_ISSUER", None, _text, "Name that JWTs are issued under; sets them up.", shown="unset (no JWTs)"
    )
    jwt_secrets: tuple[str, ...] = _variable(
        "PYLON_JWT_SECRET",
        (),
        _secret_keys,
        "Secrets that are shared with who signs or checks JWTs with HS256, comma-separated: the first signs, all are "
        f"taken. At least {MIN_SECRET_LENGTH} characters each. Needs PYLON_JWT_ISSUER.",
        secret=True,
    )
    jwt_algorithm: JwtAlgorithm | None = _variable(
        "PYLON_JWT_ALGORITHM",
        None,
        _choice(JwtAlgorithm),
        "What JWTs are signed with: the server's own keys (ES256, Ed25519) or PYLON_JWT_SECRET (HS256).",
        shown="HS256 with PYLON_JWT_SECRET, else ES256",
    )
    jwt_lifetime_secs: int = _variable(
        "PYLON_JWT_LIFETIME_SECS", 3_600, _whole(30, 86_400), "Seconds that a JWT is good for."
    )
    jwt_key_days: int = _variable(
        "PYLON_JWT_KEY_DAYS", 90, _whole(0), "Days after which a new key signs JWTs. 0 keeps one until you rotate it."
    )
    totp_issuer: str | None = _variable(
        "PYLON_TOTP_ISSUER", None, _text, "Name that authenticator apps show.", shown="the app's name"
    )
    trusted_device_days: int = _variable(
        "PYLON_TRUSTED_DEVICE_DAYS",
        30,
        _whole(0, 365),
        "Days that a browser may leave the second factor out when its user trusts it. 0 trusts none.",
    )
    hash_threads: int = _variable(
        "PYLON_HASH_THREADS",
        0,
        _whole(0, 64),
        "Passwords that are hashed at once. 0 takes half the cores.",
        shown="0 (half the cores)",
    )
    captcha_provider: CaptchaProvider | None = _variable(
        "PYLON_CAPTCHA_PROVIDER",
        None,
        _choice(CaptchaProvider),
        "Whose captcha pages show before something is sent or an account is made.",
    )
    captcha_secret: str | None = _variable(
        "PYLON_CAPTCHA_SECRET", None, _text, "Secret of this site with the captcha's provider.", secret=True
    )
    captcha_min_score: float = _variable(
        "PYLON_CAPTCHA_MIN_SCORE", 0.5, _share, "Least score that counts as human, where the provider gives one."
    )
    email_blocklist_disabled: bool = _variable(
        "PYLON_EMAIL_BLOCKLIST_DISABLED", False, _switch, "Take throw-away e-mail addresses as well."
    )
    email_blocklist_extra: tuple[str, ...] = _variable(
        "PYLON_EMAIL_BLOCKLIST_EXTRA", (), _words, "Domains that no account is made with, comma-separated."
    )
    password_words: tuple[str, ...] = _variable(
        "PYLON_PASSWORD_WORDS",
        (),
        _words,
        "Words that don't count toward a password's length, comma-separated: products, places, teams.",
    )
    hibp_disabled: bool = _variable(
        "PYLON_DISABLE_HIBP",
        False,
        _switch,
        "Take passwords that are known from breaches as well, and ask nobody about them.",
        dev=True,
    )
    hibp_url: str = _variable(
        "PYLON_HIBP_URL",
        "https://api.pwnedpasswords.com",
        _http_url,
        "Who is asked, by the first five digits of its SHA-1, whether a password is known from breaches.",
    )
    require_email_verification: bool = _variable(
        "PYLON_REQUIRE_EMAIL_VERIFICATION",
        False,
        _switch,
        "Users whose address is not proved may do nothing but prove it, and registering tells nobody which addresses "
        "have accounts. Needs mail.",
    )
    dashboard_url: str = _variable(
        "PYLON_DASHBOARD_URL", "/", _page, "Page that a link in mail leads to once it has signed its user in."
    )

    # Mail
    email_provider: EmailProvider = _variable(
        "PYLON_EMAIL_PROVIDER",
        EmailProvider.OFF,
        _choice(EmailProvider),
        "What carries mail: smtp, resend, sendgrid, webhook, or off; console shows it in the terminal, in dev mode.",
        dev=EmailProvider.CONSOLE,
    )
    email_from: str | None = _variable(
        "PYLON_EMAIL_FROM",
        None,
        _mailbox,
        "Sender of mail: noreply@example.com, or Example <noreply@example.com>.",
    )
    email_api_key: str | None = _variable(
        "PYLON_EMAIL_API_KEY", None, _text, "Key with Resend or SendGrid; a webhook gets it as Bearer.", secret=True
    )
    email_endpoint: str | None = _variable(
        "PYLON_EMAIL_ENDPOINT",
        None,
        _http_url,
        "Where a webhook's letters are posted; or another address of Resend or SendGrid, or of who speaks like them.",
    )
    email_webhook_secret: str | None = _variable(
        "PYLON_EMAIL_WEBHOOK_SECRET", None, _text, "Letters to a webhook are signed with it.", secret=True
    )
    smtp_host: str | None = _variable("PYLON_SMTP_HOST", None, _text, "Mail server.")
    smtp_port: int = _variable("PYLON_SMTP_PORT", 587, _whole(1, 65535), "Port of the mail server.")
    smtp_security: SmtpSecurity = _variable(
        "PYLON_SMTP_SECURITY",
        SmtpSecurity.STARTTLS,
        _choice(SmtpSecurity),
        "Encryption to the mail server: starttls (must succeed), tls from the first byte (port 465), or off, which is "
        "for a server on this machine.",
    )
    smtp_user: str | None = _variable("PYLON_SMTP_USER", None, _text, "Login with the mail server.")
    smtp_password: str | None = _variable("PYLON_SMTP_PASSWORD", None, _text, "Password of that login.", secret=True)
    smtp_ca_file: Path | None = _variable(
        "PYLON_SMTP_CA_FILE",
        None,
        lambda text: Path(text).expanduser(),
        "Certificates of who signed the mail server's, where that is no public authority.",
    )

    # Limits of signing in
    auth_login_ip_per_min: int = _limit("PYLON_AUTH_LOGIN_IP_PER_MIN", 5, "Tries to sign in of one address a minute.")
    auth_login_account_per_hour: int = _limit(
        "PYLON_AUTH_LOGIN_ACCOUNT_PER_HOUR",
        30,
        "Tries to sign in to one account an hour, from networks that it was never signed in from.",
    )
    auth_send_ip_per_min: int = _limit(
        "PYLON_AUTH_SEND_IP_PER_MIN", 3, "Codes and links sent for one address a minute."
    )
    auth_send_account_per_hour: int = _limit(
        "PYLON_AUTH_SEND_ACCOUNT_PER_HOUR", 10, "Codes and links sent to one account an hour."
    )
    auth_verify_ip_per_min: int = _limit("PYLON_AUTH_VERIFY_IP_PER_MIN", 30, "Codes tried by one address a minute.")
    auth_verify_account_per_hour: int = _limit(
        "PYLON_AUTH_VERIFY_ACCOUNT_PER_HOUR", 100, "Codes tried for one account an hour."
    )
    auth_register_ip_per_min: int = _limit(
        "PYLON_AUTH_REGISTER_IP_PER_MIN", 5, "Accounts made by one address a minute."
    )
    auth_nonce_ip_per_min: int = _limit("PYLON_AUTH_NONCE_IP_PER_MIN", 60, "Challenges given to one address a minute.")
    auth_invite_ip_per_min: int = _limit(
        "PYLON_AUTH_INVITE_IP_PER_MIN", 30, "Invitations to organisations sent by one address a minute."
    )
    auth_guest_ip_per_min: int = _limit("PYLON_AUTH_GUEST_IP_PER_MIN", 60, "Guests of one address a minute.")
    auth_pages: bool = _variable(
        "PYLON_AUTH_PAGES",
        True,
        _switch,
        "Serve pages for signing in and for one's account at /auth, and where links in mail lead. Switch it off for an "
        "app that brings its own.",
    )
    trust_proxy_hops: int = _variable(
        "PYLON_TRUST_PROXY_HOPS",
        0,
        _whole(0, 16),
        "How many proxies in front are trusted: the client's address is taken that many entries from the right of "
        "X-Forwarded-For. 0 ignores the header.",
    )

    # Limits
    http_body_max_bytes: int = _variable("PYLON_HTTP_BODY_MAX_BYTES", 10_485_760, _whole(1024), "Largest request body.")
    rate_limit_max: int = _variable(
        "PYLON_RATE_LIMIT_MAX",
        6_000,
        _whole(0),
        "Requests to /api that one address may send in a window without being signed in; more is answered 429. "
        "0 means no limit.",
        dev=0,
    )
    rate_limit_max_authed: int = _variable(
        "PYLON_RATE_LIMIT_MAX_AUTHED", 12_000, _whole(0), "The same for one signed-in user.", dev=0
    )
    rate_limit_window: float = _variable(
        "PYLON_RATE_LIMIT_WINDOW", 60.0, _seconds, "Length of that window in seconds.", shown="60"
    )
    http_inflight_max: int = _variable(
        "PYLON_HTTP_INFLIGHT_MAX",
        1_024,
        _whole(0),
        "Requests that are answered at once, and as many pulls besides; more are turned away with 503. "
        "0 means no limit.",
    )
    http_per_ip_max: int = _variable("PYLON_HTTP_PER_IP_MAX", 256, _whole(0), "The same for one address.")
    stream_inflight_max: int = _variable(
        "PYLON_STREAM_INFLIGHT_MAX", 1_024, _whole(0), "Streamed answers under way at the same time. 0 means no limit."
    )
    stream_per_ip_max: int = _variable("PYLON_STREAM_PER_IP_MAX", 64, _whole(0), "The same for one address.")
    http_compress: bool = _variable(
        "PYLON_HTTP_COMPRESS",
        True,
        _switch,
        "Compress answers with zstd or gzip for clients that take it, where it pays. Switch it off behind a proxy that "
        "does it.",
    )
    openapi_public: bool = _variable(
        "PYLON_OPENAPI_PUBLIC",
        False,
        _switch,
        "Show `/api/openapi.json` and the page at `/docs` to everybody. They name every entity and callable function; "
        "without it only admins see them, or anybody in dev mode.",
    )
    docs_page: bool = _variable(
        "PYLON_DOCS_PAGE",
        True,
        _switch,
        "Serve the page at `/docs` to those who may see `/api/openapi.json`. Switch it off for an app whose own pages "
        "begin there.",
    )
    query_max_limit: int = _variable(
        "PYLON_QUERY_MAX_LIMIT", 10_000, _whole(1), "Most rows that one list or query may ask for."
    )
    read_timeout_ms: int = _variable(
        "PYLON_READ_TIMEOUT_MS", 5_000, _whole(1), "Time limit of one read; past it the read is interrupted."
    )
    read_threads: int = _variable("PYLON_READ_THREADS", 4, _whole(1, 256), "Threads and connections that serve reads.")
    reader_max_secs: float = _variable(
        "PYLON_READER_MAX_SECS",
        60.0,
        _seconds,
        "Longest time that anything may hold a snapshot of the database (a function, a backup, an export); past it the "
        "read is interrupted and logged, because an open snapshot keeps the write-ahead log from beginning anew.",
        shown="60",
    )
    slow_query_ms: int = _variable(
        "PYLON_SLOW_QUERY_MS",
        100,
        _whole(1),
        "Reads and functions slower than this are kept for `pylon top` and GET /api/admin/overview.",
    )
    fn_call_timeout: float = _variable(
        "PYLON_FN_CALL_TIMEOUT", 30.0, _seconds, "Time limit of a query or action function, in seconds.", shown="30"
    )
    mutation_timeout_ms: int = _variable(
        "PYLON_MUTATION_TIMEOUT_MS",
        2_000,
        _whole(1),
        "Time limit of a mutation function; it holds the writer while it runs.",
    )

    # What one caller may write
    writes_per_user: float = _variable(
        "PYLON_WRITES_PER_USER",
        200.0,
        _rate,
        "Rows per second that one user may write on average; more is answered 429. 0 means no limit.",
        dev=0.0,
        shown="200",
        shown_dev="0",
    )
    writes_per_user_burst: float = _variable(
        "PYLON_WRITES_PER_USER_BURST",
        2_000.0,
        _rate,
        "Rows that one user may write at once before the average counts.",
        shown="2000",
    )
    writes_per_ip: float = _variable(
        "PYLON_WRITES_PER_IP",
        1_000.0,
        _rate,
        "The same for one address, behind which many users may be.",
        dev=0.0,
        shown="1000",
        shown_dev="0",
    )
    writes_per_ip_burst: float = _variable(
        "PYLON_WRITES_PER_IP_BURST", 10_000.0, _rate, "Rows that one address may write at once.", shown="10000"
    )

    pulls_per_client: float = _variable(
        "PYLON_PULLS_PER_CLIENT",
        10.0,
        _rate,
        "Pulls per second of one client that bring it up to date; one that polls faster is slowed with 429. "
        "0 means no limit.",
        dev=0.0,
        shown="10",
        shown_dev="0",
    )
    pulls_per_client_burst: float = _variable(
        "PYLON_PULLS_PER_CLIENT_BURST", 50.0, _rate, "Pulls of one client at once.", shown="50"
    )

    # When writers are shed
    contain_wal_mb: int = _variable(
        "PYLON_CONTAIN_WAL_MB",
        1024,
        _whole(0),
        "Size of the write-ahead log in MB beyond which writers are shed, the biggest first. 0 turns this off.",
    )
    contain_disk_free_mb: int = _variable(
        "PYLON_CONTAIN_DISK_FREE_MB",
        256,
        _whole(0),
        "Free space in MB below which writers are shed. 0 turns this off.",
        dev=0,
    )
    contain_writes_per_sec: float = _variable(
        "PYLON_CONTAIN_WRITES_PER_SEC",
        0.0,
        _rate,
        "Rows written per second by all together beyond which writers are shed. 0 turns this off.",
        shown="0",
    )

    # Audit log
    audit_retain_days: int = _variable(
        "PYLON_AUDIT_RETAIN_DAYS", 90, _whole(1), "Days for which the audit log is kept."
    )

    # Live connections
    ws_max_frame: int = _variable("PYLON_WS_MAX_FRAME", 16_777_216, _whole(1024), "Largest WebSocket message.")
    ws_per_ip_max: int = _variable("PYLON_WS_PER_IP_MAX", 64, _whole(0), "WebSockets of one address. 0 means no limit.")
    ws_per_user_max: int = _variable(
        "PYLON_WS_PER_USER_MAX", 32, _whole(0), "WebSockets and streams of one signed-in user. 0 means no limit."
    )
    fanout_entity_rate: float = _variable(
        "PYLON_FANOUT_ENTITY_RATE",
        0.0,
        _rate,
        "Events per second of one entity that each client is sent; above it, of each row only the newest is. 0 means "
        "no limit.",
        shown="0",
    )
    ws_buffer_max_bytes: int = _variable(
        "PYLON_WS_BUFFER_MAX_BYTES",
        4_194_304,
        _whole(4096),
        "Unsent bytes of one socket; a slower consumer is closed with 1013 and catches up by its cursor.",
    )
    live_max: int = _variable(
        "PYLON_LIVE_MAX", 10_000, _whole(1), "Different live queries at a time; those who ask for the same share one."
    )
    live_per_user_max: int = _variable(
        "PYLON_LIVE_PER_USER_MAX",
        1_000,
        _whole(0),
        "Live queries that one user, or one address without a session, subscribes to. 0 means no limit.",
    )
    live_user_share: float = _variable(
        "PYLON_LIVE_USER_SHARE",
        0.5,
        _rate,
        "Share of one processor that the live queries of one user may take in the long run; beyond it their results "
        "come later. 0 means no limit.",
        shown="0.5",
    )
    live_timeout_ms: int = _variable(
        "PYLON_LIVE_TIMEOUT_MS", 5_000, _whole(1), "Time limit of one run of a live query."
    )
    ws_ping_secs: float = _variable(
        "PYLON_WS_PING_SECS", 25.0, _seconds, "Seconds between WebSocket pings.", shown="25"
    )

    # Documents
    crdt_update_max_bytes: int = _variable(
        "PYLON_CRDT_UPDATE_MAX_BYTES", 1_048_576, _whole(1024), "Largest edit of a document that is pushed at once."
    )
    crdt_document_max_bytes: int = _variable(
        "PYLON_CRDT_DOCUMENT_MAX_BYTES",
        2_097_152,
        _whole(4096),
        "Largest document of one row, history included; the history goes first. At most half of "
        "PYLON_WS_BUFFER_MAX_BYTES counts, since a subscriber is sent it whole.",
    )
    crdt_cache_bytes: int = _variable(
        "PYLON_CRDT_CACHE_BYTES", 67_108_864, _whole(0), "Memory for documents in use; the others are read when needed."
    )
    crdt_subscriptions_max: int = _variable(
        "PYLON_CRDT_SUBSCRIPTIONS_MAX", 256, _whole(1), "Documents that one socket may subscribe to."
    )

    # Rooms
    rooms_max: int = _variable("PYLON_ROOMS_MAX", 10_000, _whole(1), "Rooms that may exist at once.")
    room_members_max: int = _variable("PYLON_ROOM_MEMBERS_MAX", 1000, _whole(1), "Members of one room.")
    rooms_per_user_max: int = _variable("PYLON_ROOMS_PER_USER_MAX", 100, _whole(1), "Rooms that one user may be in.")
    room_name_max_bytes: int = _variable(
        "PYLON_ROOM_NAME_MAX_BYTES", 256, _whole(1, 4096), "Longest name of a room, and of a topic."
    )
    room_data_max_bytes: int = _variable(
        "PYLON_ROOM_DATA_MAX_BYTES", 16_384, _whole(16), "Largest presence data of a member, and message to a room."
    )
    room_idle_secs: float = _variable(
        "PYLON_ROOM_IDLE_SECS",
        120.0,
        _seconds,
        "Seconds after which a member without a socket leaves who neither polls nor publishes.",
        shown="120",
    )
    room_publishes_per_user: float = _variable(
        "PYLON_ROOM_PUBLISHES_PER_USER",
        100.0,
        _rate,
        "Joins, presence updates and messages per second of one user; above it 429. 0 means no limit.",
        shown="100",
    )
    room_publishes_per_user_burst: float = _variable(
        "PYLON_ROOM_PUBLISHES_PER_USER_BURST", 200.0, _rate, "How many of them may come at once.", shown="200"
    )

    # Change log
    change_log_retain_events: int = _variable(
        "PYLON_CHANGE_LOG_RETAIN_EVENTS",
        1_000_000,
        _whole(0),
        "Changes kept for clients that catch up. The log keeps whichever of events and days is more.",
    )
    change_log_retain_days: int = _variable(
        "PYLON_CHANGE_LOG_RETAIN_DAYS", 7, _whole(0), "Days for which changes are kept."
    )
    checkpoint_wal_mb: int = _variable(
        "PYLON_CHECKPOINT_WAL_MB",
        64,
        _whole(1),
        "Size of the write-ahead log in MB at which new readers wait briefly so that it can be truncated.",
    )

    # Commands that ask a running server
    url: str | None = _variable(
        "PYLON_URL",
        None,
        _text,
        "Address of the server that operators' commands ask.",
        shown="http://127.0.0.1:PYLON_PORT",
    )

    # Alarms
    alarm_wal_mb: int = _variable(
        "PYLON_ALARM_WAL_MB", 256, _whole(1), "Size of the write-ahead log in MB that raises the alarm `wal-growth`."
    )
    alarm_disk_free_mb: int = _variable(
        "PYLON_ALARM_DISK_FREE_MB",
        1024,
        _whole(0),
        "Free space of the data folder's disk in MB below which the alarm `disk-full` is raised.",
    )

    # Backups
    backup_target: str | None = _variable(
        "PYLON_BACKUP_TARGET",
        None,
        _backup_target,
        "Where the server keeps its backups and its archive of changes: a folder, or s3://bucket/prefix.",
    )
    backup_every_secs: int = _variable(
        "PYLON_BACKUP_EVERY_SECS",
        0,
        _whole(0),
        "Seconds between backups that the server takes by itself. 0 takes them only when asked.",
    )
    backup_keep: int = _variable(
        "PYLON_BACKUP_KEEP",
        7,
        _whole(1),
        "Newest backups to keep, besides one for each of the last 7 days and of the last 4 weeks.",
    )
    backup_passphrase: str | None = _variable(
        "PYLON_BACKUP_PASSPHRASE", None, _text, "Seals backups and the archive sent with them.", secret=True
    )
    backup_recipient: str | None = _variable(
        "PYLON_BACKUP_RECIPIENT",
        None,
        _recipient,
        "age public key (age1…) to seal backups to, instead of a passphrase: the server can't open them then.",
    )
    archive_secs: float = _variable(
        "PYLON_ARCHIVE_SECS",
        2.0,
        _seconds_or_off,
        "Seconds between two rounds of archiving changes, for restores to a point in time. 0 turns it off.",
        shown="2",
    )
    archive_keep_days: int = _variable(
        "PYLON_ARCHIVE_KEEP_DAYS",
        7,
        _whole(1),
        "Days for which archived changes stay in the data folder where PYLON_BACKUP_TARGET is unset.",
    )
    s3_endpoint: str | None = _variable(
        "PYLON_S3_ENDPOINT",
        None,
        _endpoint,
        "S3-compatible server other than Amazon's, such as https://minio.example.com. Credentials are AWS_* variables.",
    )

    # Process
    drain_secs: float = _variable(
        "PYLON_DRAIN_SECS",
        10.0,
        _seconds,
        "Longest wait for running requests when the server stops.",
        dev=1.0,
        shown="10",
        shown_dev="1",
    )
    log_format: LogFormat = _variable(
        "PYLON_LOG_FORMAT", LogFormat.PRETTY, _choice(LogFormat), "`pretty` for people, `json` for one object per line."
    )
    log_level: LogLevel = _variable("PYLON_LOG_LEVEL", LogLevel.INFO, _choice(LogLevel), "Lowest level that is logged.")

    otel_endpoint: str | None = _variable(
        "PYLON_OTEL_ENDPOINT",
        None,
        _http_url,
        "Base URL of an OpenTelemetry collector (OTLP over HTTP) that traces and log lines are sent to, for example "
        "http://127.0.0.1:4318. Needs `pip install 'pylon[otel]'`; the SDK's own OTEL_* variables apply.",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that `environ` describes. An empty value counts as unset. Raises SettingsError with every
        malformed variable at once, and for what is unsafe outside dev mode."""
        problems: list[Problem] = []
        values: dict[str, Any] = {}
        for variable in VARIABLES:
            text = environ.get(variable.name, "").strip()
            if not text:
                continue
            try:
                values[variable.attribute] = variable.parse(text)
            except _RefusedError as refused:
                problems.append(Problem(variable.name, refused.what, refused.mend))
        if values.get("dev_mode", False):
            values = _DEV_DEFAULTS | values
        values.setdefault("csrf_origins", values.get("cors_origins", ()))
        values["oauth"], faults = read_clients(environ, dev=values.get("dev_mode", False))
        problems.extend(Problem(fault.variable, fault.what, fault.mend) for fault in faults)
        settings = cls(**values)
        problems.extend(settings._at_odds())
        if not settings.dev_mode:
            problems.extend(settings._unsafe())
        if problems:
            raise SettingsError(tuple(problems))
        return settings

    def _at_odds(self) -> list[Problem]:
        """Settings that make no sense together."""
        found: list[Problem] = []
        if self.backup_every_secs and self.backup_target is None:
            mend = "Set PYLON_BACKUP_TARGET to a folder or s3://bucket/prefix"
            found.append(Problem("PYLON_BACKUP_EVERY_SECS", "there is no place for the backups", mend))
        if self.backup_passphrase is not None and self.backup_recipient is not None:
            found.append(
                Problem("PYLON_BACKUP_RECIPIENT", "PYLON_BACKUP_PASSPHRASE is set as well", "Unset one of them")
            )
        if self.cookie_same_site is SameSite.NONE and not self.cookie_secure:
            mend = "Set PYLON_COOKIE_SECURE=1, or PYLON_COOKIE_SAME_SITE=lax"
            found.append(Problem("PYLON_COOKIE_SAME_SITE", "browsers take `none` over HTTPS only", mend))
        wrong = [origin for origin in self.webauthn_origins if not _is_within(origin, self.webauthn_rp_id)]
        if wrong:
            found.append(
                Problem(
                    "PYLON_WEBAUTHN_ORIGIN",
                    f"{wrong[0]} is not https on PYLON_WEBAUTHN_RP_ID or below it",
                    "Browsers would refuse every passkey: name https origins of that domain, or http://localhost",
                )
            )
        if self.jwt_secrets and self.jwt_issuer is None:
            found.append(
                Problem("PYLON_JWT_ISSUER", "PYLON_JWT_SECRET is set and nobody's tokens could be told", "Set both")
            )
        if self.jwt_algorithm is JwtAlgorithm.HS256 and not self.jwt_secrets:
            found.append(
                Problem("PYLON_JWT_ALGORITHM", "HS256 needs a shared secret", "Set PYLON_JWT_SECRET, or choose ES256")
            )
        if (self.captcha_provider is None) != (self.captcha_secret is None):
            found.append(
                Problem("PYLON_CAPTCHA_PROVIDER", "a captcha needs a provider and a secret", "Set both PYLON_CAPTCHA_*")
            )
        found += self._incomplete_mail()
        if self.require_email_verification and self.email_provider is EmailProvider.OFF:
            found.append(
                Problem("PYLON_REQUIRE_EMAIL_VERIFICATION", "there is no mail to verify by", "Set PYLON_EMAIL_PROVIDER")
            )
        return found

    def _incomplete_mail(self) -> list[Problem]:
        """What the chosen way of sending mail lacks."""
        provider = self.email_provider
        needed: dict[str, object] = {}
        match provider:
            case EmailProvider.SMTP:
                needed = {"PYLON_SMTP_HOST": self.smtp_host}
            case EmailProvider.RESEND | EmailProvider.SENDGRID:
                needed = {"PYLON_EMAIL_API_KEY": self.email_api_key}
            case EmailProvider.WEBHOOK:
                needed = {
                    "PYLON_EMAIL_ENDPOINT": self.email_endpoint,
                    "PYLON_EMAIL_WEBHOOK_SECRET": self.email_webhook_secret,
                }
        if provider not in (EmailProvider.OFF, EmailProvider.CONSOLE):
            needed["PYLON_EMAIL_FROM"] = self.email_from
            if not self.dev_mode:
                needed["PYLON_PUBLIC_URL"] = self.public_url
        mend = f"PYLON_EMAIL_PROVIDER={provider.value} needs it"
        found = [Problem(name, "it is not set", mend) for name, value in needed.items() if value is None]
        if (self.smtp_user is None) != (self.smtp_password is None):
            found.append(Problem("PYLON_SMTP_USER", "a login needs a user and a password", "Set both, or neither"))
        if self.smtp_ca_file is not None and not self.smtp_ca_file.is_file():
            found.append(Problem("PYLON_SMTP_CA_FILE", "there is no such file", "Correct it, or leave it unset"))
        return found

    def _unsafe(self) -> list[Problem]:
        """What may not stand outside dev mode."""
        found: list[Problem] = []
        longer = f"Use at least {MIN_TOKEN_LENGTH} random characters: `openssl rand -hex 32` prints some"
        if any(len(token) < MIN_TOKEN_LENGTH for token in self.admin_tokens):
            found.append(Problem("PYLON_ADMIN_TOKEN", "a token is too short to be safe", longer))
        if self.email_provider is EmailProvider.CONSOLE:
            found.append(
                Problem(
                    "PYLON_EMAIL_PROVIDER", "`console` would show everybody's codes in the log", "Set another, or off"
                )
            )
        is_here = self.smtp_host in ("127.0.0.1", "::1", "localhost")
        if self.email_provider is EmailProvider.SMTP and self.smtp_security is SmtpSecurity.OFF and not is_here:
            mend = "Use starttls or tls"
            found.append(Problem("PYLON_SMTP_SECURITY", "codes would cross the network in clear", mend))
        if self.metrics_token is not None and len(self.metrics_token) < MIN_TOKEN_LENGTH:
            found.append(Problem("PYLON_METRICS_TOKEN", "the token is too short to be safe", longer))
        if self.public_url is None and any(not client.redirect for client in self.oauth):
            mend = "Set it to the address at which people reach this server, such as https://api.example.com"
            found.append(Problem("PYLON_PUBLIC_URL", "providers to sign in with must know where to lead back to", mend))
        name_them = "Name the origins that may call, for example https://app.example.com"
        if "*" in self.cors_origins:
            found.append(Problem("PYLON_CORS_ORIGIN", "`*` lets every website call this server", name_them))
        elif "*" in self.csrf_origins:
            found.append(Problem("PYLON_CSRF_ORIGINS", "`*` lets every website write with a user's cookie", name_them))
        return found

    @property
    def backend(self) -> str:
        """`sqlite` or `postgres`."""
        return "postgres" if self.database_url else "sqlite"

    @property
    def database_path(self) -> Path:
        """The SQLite file, in the data folder."""
        return self.data_dir / "pylon.db"


def _described() -> tuple[Variable, ...]:
    """The fields of Settings as variables, in the order in which they are declared."""
    keys = ("name", "parse", "description", "default", "dev_default", "secret")
    return tuple(
        Variable(attribute=field.name, **{key: field.metadata[key] for key in keys})
        for field in dataclasses.fields(Settings)
        if field.metadata
    )


VARIABLES: tuple[Variable, ...] = _described()
"""Every variable that Pylon reads, in the order of `pylon env`."""

_DEV_DEFAULTS: dict[str, Any] = {
    field.name: field.metadata["dev"]
    for field in dataclasses.fields(Settings)
    if field.metadata and field.metadata["dev"] != field.default
}

RETIRED: dict[str, str] = {
    "PYLON_DB_PATH": "The database is pylon.db in PYLON_DATA_DIR",
    "PYLON_SESSION_DB": "Sessions live in the database in PYLON_DATA_DIR",
    "PYLON_JOBS_DB": "Jobs live in the database in PYLON_DATA_DIR",
    "PYLON_WORKFLOWS_DB": "Workflows live in the database in PYLON_DATA_DIR",
    "PYLON_AUTH_EMAIL_PROVIDER": "Use PYLON_EMAIL_PROVIDER",
    "PYLON_AUTH_EMAIL_API_KEY": "Use PYLON_EMAIL_API_KEY",
    "PYLON_AUTH_EMAIL_FROM": "Use PYLON_EMAIL_FROM",
    **{
        f"PYLON_EMAIL_TEMPLATE_{kind}_{part}": f"Write mail/{kind.lower()}.txt beside the app"
        for kind in ("MAGIC_CODE", "MAGIC_LINK", "PASSWORD_RESET", "EMAIL_CHANGE", "ORG_INVITE")
        for part in ("SUBJECT", "BODY")
    },
    "PYLON_ENCRYPTION_KEY": "Use PYLON_SECRET_KEY: encrypted fields are sealed under it as well",
    "PYLON_CHANGE_LOG_RETAIN": "Use PYLON_CHANGE_LOG_RETAIN_EVENTS and PYLON_CHANGE_LOG_RETAIN_DAYS",
}
"""Variables of the older program, each with what replaces it."""

INTERNAL = frozenset({"PYLON_LISTEN_FDS", "PYLON_SUPERVISOR_FD"})
"""Set by one Pylon process for another; not for people."""


def unknown_variables(environ: Mapping[str, str]) -> list[Problem]:
    """Every `PYLON_*` name that has no effect here, with the nearest real name or its replacement as the mend."""
    import difflib  # only here: most starts have nothing unknown, and each import is felt at cold start

    known = {variable.name for variable in VARIABLES}
    found: list[Problem] = []
    for name in sorted(environ):
        if not name.startswith("PYLON_") or name in known or name in INTERNAL or is_oauth_variable(name):
            continue
        if name in RETIRED:
            found.append(Problem(name, "no longer used", RETIRED[name]))
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        mend = f"Did you mean {near[0]}?" if near else "`pylon env` lists the variables"
        found.append(Problem(name, "not a variable that Pylon reads", mend))
    return found


def effective(settings: Settings, variable: Variable) -> str | None:
    """The value in force, as text; None where nothing is set; `***` for a secret that is set."""
    value = getattr(settings, variable.attribute)
    if value is None or value == ():
        return None
    return "***" if variable.secret else _show(value)
