"""Papers whose numbers and verdicts are bound to a ledger of results."""

__version__ = "0.1.0"

_WHERE = {  # what a notebook imports, and where it is defined
    "study": ["Study"], "ledger.results": ["tost", "verdicts"],
    "ledger.entries": ["dump", "number", "percent"],
    "figures": ["ACCENT", "BAND", "GRAY", "INK", "INNER", "PALETTE", "POINTS", "SCALE", "alt_list",
                "alt_panels", "bare", "design_diagram", "flow_diagram", "region", "spread"],
    "registration.codebook": ["instrument_table", "vignette_table"],
    "statistics.balance": ["attrition_by_arm", "covariate_matrix", "lee_bounds",
                           "omnibus_balance", "standardized_differences"],
    "statistics.decision": ["jzs_bayes_factor"], "statistics.linear": ["adjusted"],
    "statistics.design_diagnosis": ["false_claim_rates", "power_grid", "verdict_rates"],
    "statistics.discrete": ["ordered_logit"],
    "statistics.randomization_inference": ["curve_tests", "randomization_tests"],
    "statistics.specification_curve": ["INESTIMABLE", "Specified", "in_favor",
                                       "specification_curve"],
    "simulation.assumptions": ["load_simulation"], "simulation.respondents": ["simulate"],
    "survey.recoding": ["labeled", "recode"], "survey.weighting": ["read_margins"],
    "project": ["write_atomic"],
}
_FROM = {name: f"claimledger.{module}" for module, names in _WHERE.items() for name in names}
__all__ = sorted(_FROM)


def __getattr__(name: str):
    """Import only what is asked for: the command line must start fast."""
    if name in _FROM:
        from importlib import import_module

        return getattr(import_module(_FROM[name]), name)
    raise AttributeError(name)
