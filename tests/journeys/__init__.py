"""Tests of whole journeys: the daemon between real peers."""
