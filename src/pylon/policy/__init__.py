"""Policies: who may read and write which rows. One expression compiles to a Python predicate and to SQL, which agree.
Pure: reads no row by itself, knows no clock and opens nothing."""
