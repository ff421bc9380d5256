"""Simulated answers: assumptions, respondents, and the file a survey platform would export."""
