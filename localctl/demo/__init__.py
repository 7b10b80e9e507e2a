"""The whole job on one machine, played by real parts."""
