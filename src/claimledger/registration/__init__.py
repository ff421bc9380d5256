"""The promise: models, lock, codebook."""
