"""Tests of what passes through."""
