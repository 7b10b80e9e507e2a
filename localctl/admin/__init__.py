"""What the site's operator sees."""
