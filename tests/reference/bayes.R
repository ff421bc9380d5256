# Reference Bayes factors (JZS, two-sided, against zero) for claimledger.statistics.decision.
# Run in this folder: Rscript bayes.R   (writes bayes.json)
suppressPackageStartupMessages({library(BayesFactor); library(jsonlite)})
cases <- list(c(0, 20, 0), c(0.5, 100, 0), c(2.1, 35, 0), c(-3.4, 400, 0), c(0.3, 751, 751),
              c(-2.2, 300, 300), c(4.5, 95, 89), c(1.96, 12, 30))
one <- function(v, r) ttest.tstat(t = v[1], n1 = v[2], n2 = v[3], rscale = r, simple = TRUE)
rows <- lapply(cases, function(v) list(t = v[1], n1 = v[2], n2 = v[3],
  medium = unname(one(v, sqrt(2) / 2)), wide = unname(one(v, 1))))
write(toJSON(list(version = as.character(packageVersion("BayesFactor")), cases = rows),
             digits = NA, auto_unbox = TRUE, pretty = TRUE), "bayes.json")
