"""Tests of the admin endpoints."""
