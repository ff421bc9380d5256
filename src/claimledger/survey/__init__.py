"""From an export to the frame that is analyzed: reading, checks, recoding, weights, disclosure."""
