"""The API of this app, for those who call it: the OpenAPI document, and the page at `/docs` that shows it. One rule
(`access.py`) opens both; the page's files hold nothing of the app."""
