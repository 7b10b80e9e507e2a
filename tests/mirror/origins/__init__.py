"""Tests of fetching from origins."""
