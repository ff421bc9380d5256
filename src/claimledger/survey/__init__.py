"""The answers: from an export, or a simulated world, to the frame that is analysed."""
