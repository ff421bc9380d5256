"""The saying: tokens, lint, build, renderer."""
