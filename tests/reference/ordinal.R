# Reference numbers for claimledger.statistics.discrete: MASS::polr, on ordinal.csv (drawn here).
# Run in this folder: Rscript ordinal.R   (writes ordinal.csv and ordinal.json)
suppressPackageStartupMessages({library(MASS); library(ordinal); library(jsonlite)})
set.seed(7)
n <- 240
d <- data.frame(z = rep(0:1, n / 2), x = round(rnorm(n), 3))
d$y <- as.integer(cut(.7 * d$z - .4 * d$x + rlogis(n), c(-Inf, -1.5, -.3, .6, 1.8, Inf)))
write.csv(d, "ordinal.csv", row.names = FALSE)
d$f <- factor(d$y)
polr_fit <- polr(f ~ z + x, d, Hess = TRUE, control = list(reltol = 1e-14))
fit <- clm(f ~ z + x, data = d, control = list(gradTol = 1e-10))
# Average effect on the scale of the answers 1 to 5, delta method by central differences.
score <- function(theta, z, x) {
  eta <- theta[5] * z + theta[6] * x
  cum <- sapply(theta[1:4], function(a) plogis(a - eta))
  5 - rowSums(cum)
}
effects <- list(
  z = function(th) mean(score(th, 1, d$x) - score(th, 0, d$x)),
  x = function(th) mean(score(th, d$z, d$x + 1e-4) - score(th, d$z, d$x - 1e-4)) / 2e-4)
theta <- coef(fit)
gradient <- function(f) sapply(1:6, function(j) { h <- 1e-5 * (1:6 == j); (f(theta + h) - f(theta - h)) / 2e-5 })
out <- lapply(effects, function(f) { g <- gradient(f)
  list(estimate = f(theta), se = sqrt(as.numeric(t(g) %*% vcov(fit) %*% g))) })
s <- summary(fit)$coefficients
out$z$log_odds <- s["z", 1]; out$z$log_odds_se <- s["z", 2]
out$x$log_odds <- s["x", 1]; out$x$log_odds_se <- s["x", 2]
out$polr <- unname(coef(polr_fit))
out$versions <- sapply(c("MASS", "ordinal"), function(p) as.character(packageVersion(p)))
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), "ordinal.json")
