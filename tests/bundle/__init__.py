"""Tests of localctl/bundle."""
