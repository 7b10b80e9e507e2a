"""What has been verified, and what must last."""
