"""Tests of what has been verified."""
