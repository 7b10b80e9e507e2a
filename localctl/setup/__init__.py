"""What `localctl setup` does: asks, explains, checks, writes."""
