"""Tests of what is addressed to us."""
