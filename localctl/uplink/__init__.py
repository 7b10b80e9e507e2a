"""What is addressed to us: the controller's own connection to the CSMS."""
