"""Rows by the million, through the same write path as one."""
