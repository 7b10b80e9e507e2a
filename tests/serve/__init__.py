"""Tests of handing files to stations."""
