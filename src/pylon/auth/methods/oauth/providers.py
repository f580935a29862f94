"""The providers, as data: where they are, how they want to be asked, and where in their answers people stand.

Nothing here decides anything. A provider of its own that an operator names is found by discovery and becomes the same
record (`discovery.py`). Spec 03 §10.4.
"""

from __future__ import annotations

import enum

import msgspec

from pylon.oauth_settings import TENANT_GROUPS


class Shape(enum.StrEnum):
    """How a provider's token endpoint is asked (spec 03 §10.3)."""

    STANDARD = "standard"
    BASIC = "basic"
    JSON = "json"
    BASIC_JSON = "basic+json"


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """Where a person stands in an answer, as paths of keys and indexes. `verified` is what says that the address is the
    person's own, empty for providers that say nothing. `handle` stands in for a missing name, and with a `domain` an
    address is made of it, for providers that give none."""

    subject: str = "sub"
    email: str = "email"
    name: str = "name"
    picture: str = "picture"
    verified: str = ""
    handle: str = ""
    domain: str = ""


OIDC = Mapping(verified="email_verified")


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider.

    `issuer` and `jwks` are there where its id_token is verified; an issuer with `{tenantid}` is that of the token's own
    `tid`, `issuer_alias` another way in which it writes itself. Claims that the id_token lacks come from `userinfo`.
    `emails` lists a person's addresses where the profile may keep them to itself. `offline` are parameters, and
    `offline_scope` the scope, that ask for tokens which are refreshed. `extra` are parameters of the authorize URL.
    `pkce` and `nonce` are off for those that refuse or lose them. `form_post` says that it leads back with a form;
    `iss_parameter` that it names itself when it does (RFC 9207).
    """

    id: str
    title: str
    authorize: str
    token: str
    userinfo: str = ""
    scopes: tuple[str, ...] = ()
    shape: Shape = Shape.STANDARD
    mapping: Mapping = OIDC
    issuer: str = ""
    issuer_alias: str = ""
    jwks: str = ""
    algorithms: tuple[str, ...] = (
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "EdDSA",
    )
    pkce: bool = True
    nonce: bool = True
    extra: tuple[tuple[str, str], ...] = ()
    offline: tuple[tuple[str, str], ...] = ()
    offline_scope: str = ""
    client_param: str = "client_id"
    separator: str = " "
    userinfo_method: str = "GET"
    userinfo_json: dict[str, str] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    emails: str = ""
    form_post: bool = False
    iss_parameter: bool = False


def _oidc(id: str, title: str, **fields: object) -> Provider:
    return Provider(id=id, title=title, **{"scopes": ("openid", "email", "profile"), **fields})  # type: ignore[arg-type]


_ALL = (
    _oidc(
        "google",
        "Google",
        authorize="https://accounts.google.com/o/oauth2/v2/auth",
        token="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
        userinfo="https://www.googleapis.com/oauth2/v3/userinfo",
        issuer="https://accounts.google.com",
        issuer_alias="accounts.google.com",
        jwks="https://www.googleapis.com/oauth2/v3/certs",
        offline=(("access_type", "offline"), ("prompt", "consent")),
    ),
    Provider(
        id="github",
        title="GitHub",
        authorize="https://github.com/login/oauth/authorize",
        token="https://github.com/login/oauth/access_token",  # noqa: S106
        userinfo="https://api.github.com/user",
        emails="https://api.github.com/user/emails",
        scopes=("user:email",),
        mapping=Mapping(subject="id", name="name", handle="login", picture="avatar_url"),
    ),
    Provider(
        id="apple",
        title="Apple",
        authorize="https://appleid.apple.com/auth/authorize",
        token="https://appleid.apple.com/auth/token",  # noqa: S106
        scopes=("name", "email"),
        issuer="https://appleid.apple.com",
        jwks="https://appleid.apple.com/auth/keys",
        extra=(("response_mode", "form_post"),),
        form_post=True,
        # Not among what Apple's documentation takes; the nonce binds the code to this sign-in.
        pkce=False,
    ),
    _oidc(
        "microsoft",
        "Microsoft",
        authorize="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        token="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",  # noqa: S106
        userinfo="https://graph.microsoft.com/oidc/userinfo",
        issuer="https://login.microsoftonline.com/{tenant}/v2.0",
        jwks="https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys",
        # A directory's admin writes any address into `email`; only this claim says that its domain was proven.
        mapping=Mapping(verified="xms_edov"),
        offline_scope="offline_access",
    ),
    Provider(
        id="discord",
        title="Discord",
        authorize="https://discord.com/oauth2/authorize",
        token="https://discord.com/api/oauth2/token",  # noqa: S106
        userinfo="https://discord.com/api/users/@me",
        scopes=("identify", "email"),
        mapping=Mapping(subject="id", name="global_name", verified="verified"),
    ),
    _oidc(
        "slack",
        "Slack",
        authorize="https://slack.com/openid/connect/authorize",
        token="https://slack.com/api/openid.connect.token",  # noqa: S106
        userinfo="https://slack.com/api/openid.connect.userInfo",
        issuer="https://slack.com",
        jwks="https://slack.com/openid/connect/keys",
    ),
    Provider(
        id="spotify",
        title="Spotify",
        authorize="https://accounts.spotify.com/authorize",
        token="https://accounts.spotify.com/api/token",  # noqa: S106
        shape=Shape.BASIC,
        userinfo="https://api.spotify.com/v1/me",
        scopes=("user-read-email", "user-read-private"),
        mapping=Mapping(subject="id", name="display_name", picture="images/0/url"),  # says that it verifies no address
    ),
    Provider(
        id="twitch",
        title="Twitch",
        authorize="https://id.twitch.tv/oauth2/authorize",
        token="https://id.twitch.tv/oauth2/token",  # noqa: S106
        userinfo="https://id.twitch.tv/oauth2/userinfo",
        scopes=("openid", "user:read:email"),
        issuer="https://id.twitch.tv/oauth2",
        jwks="https://id.twitch.tv/oauth2/keys",
        # Without being asked for, these claims are in neither answer.
        extra=(
            ("claims", '{"userinfo":{"email":null,"email_verified":null,"picture":null,"preferred_username":null}}'),
        ),
        mapping=Mapping(verified="email_verified", name="preferred_username"),
    ),
    Provider(
        id="twitter",
        title="X",
        authorize="https://twitter.com/i/oauth2/authorize",
        token="https://api.twitter.com/2/oauth2/token",  # noqa: S106
        shape=Shape.BASIC,
        userinfo="https://api.twitter.com/2/users/me?user.fields=id,name,username",
        scopes=("users.read", "tweet.read"),
        offline_scope="offline.access",
        mapping=Mapping(
            subject="data/id",
            email="",
            name="data/name",
            picture="data/profile_image_url",
            handle="data/username",
            domain="x.invalid",
        ),
    ),
    _oidc(
        "linkedin",
        "LinkedIn",
        authorize="https://www.linkedin.com/oauth/v2/authorization",
        token="https://www.linkedin.com/oauth/v2/accessToken",  # noqa: S106
        userinfo="https://api.linkedin.com/v2/userinfo",
        # Refuses a code_verifier beside a secret, and leaves the nonce out of its id_token.
        pkce=False,
        nonce=False,
    ),
    Provider(
        id="facebook",
        title="Facebook",
        authorize="https://www.facebook.com/v18.0/dialog/oauth",
        token="https://graph.facebook.com/v18.0/oauth/access_token",  # noqa: S106
        userinfo="https://graph.facebook.com/me?fields=id,email,name,picture",
        scopes=("email", "public_profile"),
        mapping=Mapping(subject="id", picture="picture/data/url"),
    ),
    _oidc(
        "gitlab",
        "GitLab",
        authorize="https://gitlab.com/oauth/authorize",
        token="https://gitlab.com/oauth/token",  # noqa: S106
        userinfo="https://gitlab.com/oauth/userinfo",
        issuer="https://gitlab.com",
        jwks="https://gitlab.com/oauth/discovery/keys",
    ),
    Provider(
        id="reddit",
        title="Reddit",
        authorize="https://www.reddit.com/api/v1/authorize",
        token="https://www.reddit.com/api/v1/access_token",  # noqa: S106
        shape=Shape.BASIC,
        userinfo="https://oauth.reddit.com/api/v1/me",
        scopes=("identity",),
        offline=(("duration", "permanent"),),
        mapping=Mapping(subject="id", email="", picture="icon_img", handle="name", domain="reddit.invalid"),
    ),
    Provider(
        id="notion",
        title="Notion",
        authorize="https://api.notion.com/v1/oauth/authorize",
        token="https://api.notion.com/v1/oauth/token",  # noqa: S106
        shape=Shape.BASIC_JSON,
        userinfo="https://api.notion.com/v1/users/me",
        extra=(("owner", "user"),),
        headers=(("Notion-Version", "2022-06-28"),),
        pkce=False,  # its token endpoint refuses fields that it doesn't know
        mapping=Mapping(
            subject="bot/owner/user/id",
            email="bot/owner/user/person/email",
            name="bot/owner/user/name",
            picture="bot/owner/user/avatar_url",
        ),
    ),
    Provider(
        id="linear",
        title="Linear",
        authorize="https://linear.app/oauth/authorize",
        token="https://api.linear.app/oauth/token",  # noqa: S106
        userinfo="https://api.linear.app/graphql",
        userinfo_method="POST",
        userinfo_json={"query": "query { viewer { id email name avatarUrl } }"},
        scopes=("read",),
        separator=",",
        mapping=Mapping(
            subject="data/viewer/id",
            email="data/viewer/email",
            name="data/viewer/name",
            picture="data/viewer/avatarUrl",
        ),
    ),
    Provider(
        id="vercel",
        title="Vercel",
        authorize="https://vercel.com/oauth/authorize",
        token="https://api.vercel.com/v2/oauth/access_token",  # noqa: S106
        userinfo="https://api.vercel.com/v2/user",
        mapping=Mapping(subject="user/id", email="user/email", name="user/name", picture=""),
    ),
    Provider(
        id="zoom",
        title="Zoom",
        authorize="https://zoom.us/oauth/authorize",
        token="https://zoom.us/oauth/token",  # noqa: S106
        shape=Shape.BASIC,
        userinfo="https://api.zoom.us/v2/users/me",
        scopes=("user:read",),
        mapping=Mapping(subject="id", name="first_name", picture="pic_url", verified="verified"),
    ),
    _oidc(
        "salesforce",
        "Salesforce",
        authorize="https://login.salesforce.com/services/oauth2/authorize",
        token="https://login.salesforce.com/services/oauth2/token",  # noqa: S106
        userinfo="https://login.salesforce.com/services/oauth2/userinfo",
        offline_scope="refresh_token",
    ),
    Provider(
        id="atlassian",
        title="Atlassian",
        authorize="https://auth.atlassian.com/authorize",
        token="https://auth.atlassian.com/oauth/token",  # noqa: S106
        shape=Shape.JSON,
        userinfo="https://api.atlassian.com/me",
        scopes=("read:me",),
        extra=(("audience", "api.atlassian.com"), ("prompt", "consent")),
        offline_scope="offline_access",
        mapping=Mapping(subject="account_id", verified="email_verified"),
    ),
    Provider(
        id="figma",
        title="Figma",
        authorize="https://www.figma.com/oauth",
        token="https://api.figma.com/v1/oauth/token",  # noqa: S106
        shape=Shape.BASIC,
        userinfo="https://api.figma.com/v1/me",
        scopes=("files:read",),
        mapping=Mapping(subject="id", name="handle", picture="img_url"),
    ),
    Provider(
        id="dropbox",
        title="Dropbox",
        authorize="https://www.dropbox.com/oauth2/authorize",
        token="https://api.dropboxapi.com/oauth2/token",  # noqa: S106
        userinfo="https://api.dropboxapi.com/2/users/get_current_account",
        userinfo_method="POST",
        scopes=("account_info.read",),
        offline=(("token_access_type", "offline"),),
        mapping=Mapping(
            subject="account_id", name="name/display_name", picture="profile_photo_url", verified="email_verified"
        ),
    ),
    Provider(
        id="tiktok",
        title="TikTok",
        authorize="https://www.tiktok.com/v2/auth/authorize",
        token="https://open.tiktokapis.com/v2/oauth/token/",  # noqa: S106
        userinfo="https://open.tiktokapis.com/v2/user/info/?fields=open_id,union_id,avatar_url,display_name,username",
        scopes=("user.info.basic",),
        client_param="client_key",
        separator=",",
        pkce=False,  # takes challenges of another encoding than RFC 7636
        mapping=Mapping(
            subject="data/user/open_id",
            email="",
            name="data/user/display_name",
            picture="data/user/avatar_url",
            handle="data/user/username",
            domain="tiktok.invalid",
        ),
    ),
    _oidc(
        "paypal",
        "PayPal",
        authorize="https://www.paypal.com/connect",
        token="https://api-m.paypal.com/v1/oauth2/token",  # noqa: S106
        shape=Shape.BASIC,
        userinfo="https://api-m.paypal.com/v1/identity/openidconnect/userinfo?schema=openid",
    ),
    Provider(
        id="kick",
        title="Kick",
        authorize="https://id.kick.com/oauth/authorize",
        token="https://id.kick.com/oauth/token",  # noqa: S106
        userinfo="https://api.kick.com/public/v1/users",
        scopes=("user:read",),
        mapping=Mapping(
            subject="data/0/user_id", email="data/0/email", name="data/0/name", picture="data/0/profile_picture"
        ),
    ),
    Provider(
        id="roblox",
        title="Roblox",
        authorize="https://apis.roblox.com/oauth/v1/authorize",
        token="https://apis.roblox.com/oauth/v1/token",  # noqa: S106
        userinfo="https://apis.roblox.com/oauth/v1/userinfo",
        scopes=("openid", "profile"),
        issuer="https://apis.roblox.com/oauth/",
        jwks="https://apis.roblox.com/oauth/v1/certs",
        mapping=Mapping(email="", handle="preferred_username", domain="roblox.invalid"),
    ),
)

PROVIDERS: dict[str, Provider] = {provider.id: provider for provider in sorted(_ALL, key=lambda one: one.id)}
"""By id, in order."""


def of_tenant(provider: Provider, tenant: str) -> Provider:
    """Microsoft's provider for one directory, or for a group of them, whose tokens name their own."""
    issuer = provider.issuer.replace("{tenant}", "{tenantid}" if tenant in TENANT_GROUPS else tenant)
    return msgspec.structs.replace(
        provider,
        authorize=provider.authorize.replace("{tenant}", tenant),
        token=provider.token.replace("{tenant}", tenant),
        jwks=provider.jwks.replace("{tenant}", tenant),
        issuer=issuer,
    )
