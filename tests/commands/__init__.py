"""Tests of localctl/commands."""
