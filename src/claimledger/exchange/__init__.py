"""The checking: verify what was published, and pack it for an archive."""
