"""Estimators, the rule of decision, specification curve, randomization tests, design diagnosis."""
