"""Commands that need more words than a screen: their options, and which room they hand over to."""
