"""Handing files to stations."""
