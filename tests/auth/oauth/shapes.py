"""What each provider answers, in the shape of its documentation, and whom that means."""

from __future__ import annotations

from typing import Any, NamedTuple


class Shape(NamedTuple):
    """`claims` go into the id_token, `profile` is the userinfo answer. The rest is whom it means."""

    profile: Any
    subject: str
    email: str
    verified: bool
    name: str | None
    picture: str | None = None
    claims: dict[str, Any] | None = None
    form: bool = False
    emails: Any = None


PIC = "https://pics.example/ann.png"
OIDC = {"sub": "s-1", "email": "Ann@Example.com", "email_verified": True, "name": "Ann Lee", "picture": PIC}
ANN = ("ann@example.com", True, "Ann Lee")

SHAPES: dict[str, Shape] = {
    "google": Shape(None, "s-1", *ANN, PIC, claims=OIDC),
    "github": Shape(
        {"login": "annlee", "id": 583231, "avatar_url": PIC, "name": None, "email": None},
        "583231",
        "ann@example.com",
        True,
        "annlee",
        PIC,
        form=True,
        emails=[
            {"email": "old@example.com", "primary": False, "verified": True, "visibility": None},
            {"email": "ann@example.com", "primary": True, "verified": True, "visibility": "private"},
        ],
    ),
    "apple": Shape(
        None,
        "000123.abc",
        "ann@privaterelay.appleid.com",
        True,
        None,
        claims={"sub": "000123.abc", "email": "ann@privaterelay.appleid.com", "email_verified": "true"},
    ),
    "microsoft": Shape(
        {"sub": "ms-1", "name": "Ann Lee", "email": "ann@example.com", "picture": "http://graph/photo"},
        "ms-1",
        "ann@example.com",
        False,
        "Ann Lee",
        claims={"sub": "ms-1", "name": "Ann Lee", "email": "ann@example.com"},
    ),
    "discord": Shape(
        {"id": "80351110224678912", "username": "ann", "global_name": "Ann Lee", "verified": True, "email": ANN[0]},
        "80351110224678912",
        *ANN,
    ),
    "slack": Shape({"ok": True, **OIDC}, "s-1", *ANN, PIC, claims={"sub": "s-1"}),
    "spotify": Shape(
        {"id": "annlee", "display_name": "Ann Lee", "email": ANN[0], "images": [{"url": PIC, "height": 300}]},
        "annlee",
        ANN[0],
        False,
        "Ann Lee",
        PIC,
    ),
    "twitch": Shape(
        {"sub": "141981764", "email": ANN[0], "email_verified": True, "preferred_username": "annlee", "picture": PIC},
        "141981764",
        ANN[0],
        True,
        "annlee",
        PIC,
        claims={"sub": "141981764"},
    ),
    "twitter": Shape(
        {"data": {"id": "2244994945", "name": "Ann Lee", "username": "AnnLee"}},
        "2244994945",
        "annlee@x.invalid",
        False,
        "Ann Lee",
    ),
    "linkedin": Shape(OIDC, "s-1", *ANN, PIC),
    "facebook": Shape(
        {"id": "10158", "email": ANN[0], "name": "Ann Lee", "picture": {"data": {"url": PIC}}},
        "10158",
        ANN[0],
        False,
        "Ann Lee",
        PIC,
    ),
    "gitlab": Shape(OIDC, "s-1", *ANN, PIC, claims={"sub": "s-1"}),
    "reddit": Shape({"id": "w26pt", "name": "annlee"}, "w26pt", "annlee@reddit.invalid", False, "annlee"),
    "notion": Shape(
        {
            "object": "user",
            "bot": {
                "owner": {"user": {"id": "n-1", "name": "Ann Lee", "person": {"email": ANN[0]}, "avatar_url": PIC}}
            },
        },
        "n-1",
        ANN[0],
        False,
        "Ann Lee",
        PIC,
    ),
    "linear": Shape(
        {"data": {"viewer": {"id": "l-1", "email": ANN[0], "name": "Ann Lee", "avatarUrl": None}}},
        "l-1",
        ANN[0],
        False,
        "Ann Lee",
    ),
    "vercel": Shape({"user": {"id": "v-1", "email": ANN[0], "name": "Ann Lee"}}, "v-1", ANN[0], False, "Ann Lee"),
    "zoom": Shape(
        {"id": "zJKyaiAyTN", "first_name": "Ann", "email": ANN[0], "verified": 1, "pic_url": PIC},
        "zJKyaiAyTN",
        ANN[0],
        True,
        "Ann",
        PIC,
    ),
    "salesforce": Shape(OIDC, "s-1", *ANN, PIC),
    "atlassian": Shape(
        {"account_id": "a-1", "email": ANN[0], "name": "Ann Lee", "email_verified": True, "picture": PIC},
        "a-1",
        *ANN,
        PIC,
    ),
    "figma": Shape(
        {"id": "f-1", "email": ANN[0], "handle": "Ann Lee", "img_url": PIC}, "f-1", ANN[0], False, "Ann Lee", PIC
    ),
    "dropbox": Shape(
        {"account_id": "dbid:1", "email": ANN[0], "email_verified": True, "name": {"display_name": "Ann Lee"}},
        "dbid:1",
        *ANN,
    ),
    "tiktok": Shape(
        {"data": {"user": {"open_id": "t-1", "avatar_url": PIC, "display_name": "Ann Lee", "username": "annlee"}}},
        "t-1",
        "annlee@tiktok.invalid",
        False,
        "Ann Lee",
        PIC,
    ),
    "paypal": Shape(OIDC, "s-1", *ANN, PIC),
    "kick": Shape(
        {"data": [{"user_id": 123, "email": ANN[0], "name": "annlee", "profile_picture": PIC}], "message": "OK"},
        "123",
        ANN[0],
        False,
        "annlee",
        PIC,
    ),
    "roblox": Shape(
        {"sub": "1516563360", "name": "Ann Lee", "preferred_username": "annlee", "picture": PIC},
        "1516563360",
        "annlee@roblox.invalid",
        False,
        "Ann Lee",
        PIC,
        claims={"sub": "1516563360", "name": "Ann Lee", "preferred_username": "annlee", "picture": PIC},
    ),
}
