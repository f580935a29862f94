"""Migrations: numbered steps that an app's authors write for what a declaration can't say."""
