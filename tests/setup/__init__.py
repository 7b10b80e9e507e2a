"""Tests of localctl/setup."""
