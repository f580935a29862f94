"""Pages for signing in and for one's account, at `/auth`: server-rendered, themable, and without JavaScript but for
passkeys. They are a client of the JSON routes in this process, so nothing is decided here a second time."""
