# Raked weights, means and their errors by R's survey package; run: Rscript raking.R
# Reads raking.csv, writes raking.json. The margins stand here and in the test.
# `rake` leaves the base weights out of the regression behind its errors, `calibrate` keeps them
# (Deville and Särndal 1992): the two agree where base weights are equal.
suppressMessages(library(survey))
d <- read.csv("raking.csv", stringsAsFactors = FALSE)
margins <- list(
  data.frame(sex = c("Male", "Female"), Freq = nrow(d) * c(.49, .51)),
  data.frame(group = c("young", "middle", "old"), Freq = nrow(d) * c(.29, .325, .385)),
  data.frame(region = c("Northeast", "Midwest", "South", "West"),
             Freq = nrow(d) * c(.173, .204, .387, .236)))
formulas <- list(~sex, ~group, ~region)
tight <- list(maxit = 500, epsilon = 1e-11)
one <- function(weights) {
  design <- svydesign(ids = ~1, weights = weights, data = d)
  raked <- rake(design, formulas, margins, control = tight)
  jack <- as.svrepdesign(design, type = "JK1")
  jack <- rake(jack, formulas, margins, control = tight)
  population <- c(`(Intercept)` = 1, sexMale = .49, groupold = .385, groupyoung = .29,
                  regionNortheast = .173, regionSouth = .387, regionWest = .236)
  calibrated <- calibrate(design, ~sex + group + region, sum(weights) * population,
                          calfun = "raking", epsilon = 1e-11, maxit = 500)
  m <- svymean(~y, raked); j <- svymean(~y, jack)
  w <- weights(raked)
  list(weights = w / mean(w), mean = as.numeric(coef(m)), se = as.numeric(SE(m)),
       calibrated_se = as.numeric(SE(svymean(~y, calibrated))),
       jackknife = as.numeric(SE(j)), kish = length(w) * sum(w^2) / sum(w)^2)
}
out <- list(version = as.character(packageVersion("survey")),
            equal = one(rep(1, nrow(d))), unequal = one(d$base))
writeLines(jsonlite::toJSON(out, digits = 12, auto_unbox = TRUE), "raking.json")
