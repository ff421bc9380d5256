"""Names of the study's items that several tests use."""

MEASURES = ["no_action", "public_shaming", "cut_military_aid", "economic_sanctions", "end_alliance"]
CORRECTIVE = MEASURES[1:]
VIEWS = ["favourable", "trust", "reliability"]
CONTRIBUTIONS = ["troops", "spending", "commitment"]
