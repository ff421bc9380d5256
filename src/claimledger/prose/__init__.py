"""The prose: its tokens, its lint, and the source as people write it."""
