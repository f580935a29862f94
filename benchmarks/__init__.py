"""Benchmarks of the hot paths, each beside a baseline of the same run: `make bench`, or `python -m benchmarks [NAME...]`."""
