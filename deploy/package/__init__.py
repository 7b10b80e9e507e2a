"""What builds the Debian package; `sh deploy/package.sh` runs it in a virtual environment of its own."""
