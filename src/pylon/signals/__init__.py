"""Counters, histograms and logs. A leaf: imports nothing of Pylon, anyone may import it; its only I/O is log lines."""
