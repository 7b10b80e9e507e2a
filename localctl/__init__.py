"""localctl: an OCPP Local Controller."""
