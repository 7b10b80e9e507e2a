"""What passes through: one pair of WebSockets for each station."""
