"""What was registered: the language and its reading, the lock with its amendments, the codebook."""
