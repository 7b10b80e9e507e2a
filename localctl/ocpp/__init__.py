"""The language: frames, calls and messages of OCPP. All rules, no I/O."""
