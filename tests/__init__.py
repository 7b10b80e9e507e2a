"""Tests: a mirror of localctl, with the actors that play the peers and the journeys that cross every room."""
