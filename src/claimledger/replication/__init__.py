"""Verify what was published, and pack it for an archive."""
