"""Tests of the parts of `localctl check`; what it says as a whole is in tests/test_checks.py."""
