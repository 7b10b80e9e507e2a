"""What `localctl bundle` packs for whoever helps from afar, and what it leaves out."""
