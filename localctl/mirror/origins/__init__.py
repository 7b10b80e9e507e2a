"""Where firmware comes from."""
