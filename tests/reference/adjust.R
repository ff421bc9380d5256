# Reference numbers for claimledger.statistics.decision and the HC2 kernels.
# Run in this folder: Rscript adjust.R   (writes adjust.json)
suppressPackageStartupMessages(library(jsonlite))
p <- c(.21, .0001, .04, .04, .9, .0131, 1, .003)
write(toJSON(list(p = p, holm = p.adjust(p, "holm"), bh = p.adjust(p, "BH")),
             digits = NA, pretty = TRUE), "adjust.json")
