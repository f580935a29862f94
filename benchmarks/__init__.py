"""Benchmarks of the hot paths, beside a baseline of the same run: `make bench`, `python -m benchmarks [NAME...]`."""
