"""How localctl comes to a gateway."""
