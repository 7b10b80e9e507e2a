"""Tests of connections below any protocol."""
