"""The peers that the tests play: CSMS, stations, origins, and the daemon itself as a subprocess."""
