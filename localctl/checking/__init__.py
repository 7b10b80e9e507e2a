"""What `localctl check` finds out, a part of the configuration a file."""
