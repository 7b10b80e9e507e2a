"""The Debian package, from what it is made of to what is made."""
