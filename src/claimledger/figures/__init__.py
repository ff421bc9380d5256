"""Figures and tables as every output format needs them."""
