"""TCP and TLS connections, below any protocol that is spoken on them."""
