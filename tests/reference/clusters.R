# Reference numbers for claimledger.statistics.clustered and linear: estimatr, clubSandwich, survey, sandwich.
# Run in this folder: Rscript clusters.R   (draws clusters.csv, writes clusters.json)
suppressPackageStartupMessages({library(estimatr); library(clubSandwich); library(survey); library(jsonlite)})
set.seed(20250901)
sizes <- c(1, 1, 2, 3, 3, 5, 5, 5, 8, 2, 4, 6)
g <- rep(seq_along(sizes), sizes)
n <- length(g)
d <- data.frame(g = g, z = as.numeric(runif(n) < .5), item = round(rnorm(n), 3),
                w = round(runif(n, .3, 2.5), 3))
d$y <- round(1 + .4 * d$z - .2 * d$item + rnorm(length(sizes))[g] + rnorm(n), 3)
write.csv(d, "clusters.csv", row.names = FALSE)

tidy_fit <- function(fit) list(coef = unname(coef(fit)), se = unname(fit$std.error), df = unname(fit$df))
f <- y ~ z * item
r <- list()
r$cr2 <- tidy_fit(lm_robust(f, d, clusters = g, se_type = "CR2"))
r$cr2_weighted <- tidy_fit(lm_robust(f, d, clusters = g, weights = w, se_type = "CR2"))
r$stata <- tidy_fit(lm_robust(f, d, clusters = g, se_type = "stata"))
r$stata_weighted <- tidy_fit(lm_robust(f, d, clusters = g, weights = w, se_type = "stata"))
# The contrast z + 2 item - z:item, as a coefficient of the same model written otherwise.
club <- function(m) { out <- coef_test(m, "CR2", cluster = d$g, test = "Satterthwaite")
  list(estimate = out$beta[2], se = out$SE[2], df = out$df_Satt[2]) }
h <- y ~ z + I(item - 2 * z) + I(z * item + z)
r$contrast <- club(lm(h, d)); r$contrast_weighted <- club(lm(h, d, weights = w))
htz <- function(m) { out <- Wald_test(m, constrain_zero(2:4), vcovCR(m, d$g, "CR2"), test = "HTZ")
  list(f = out$Fstat, df1 = out$df_num, df2 = out$df_denom, p = out$p_val) }
r$htz <- htz(lm(f, d)); r$htz_weighted <- htz(lm(f, d, weights = w))
svy <- function(w) { des <- svydesign(ids = ~g, weights = w, data = d); m <- svyglm(f, design = des)
  list(coef = unname(coef(m)), se = unname(sqrt(diag(vcov(m)))), degf = degf(des)) }
r$survey <- svy(~1); r$survey_weighted <- svy(~w)
m <- svyglm(f, design = svydesign(ids = ~g, weights = ~1, data = d))
V <- vcov(m)[c(2, 4), c(2, 4)]; b <- coef(m)[c(2, 4)]
r$survey_wald <- as.numeric(t(b) %*% solve(V) %*% b) / 2
# A cluster with a column of its own: its block of I - H is singular.
d$own <- as.numeric(d$g == 9)
r$singular_block <- tidy_fit(lm_robust(y ~ z + own, d, clusters = g, se_type = "CR2"))
# Independent rows: HC2, and the adjustment of Lin (2013).
r$hc2 <- tidy_fit(lm_robust(f, d, se_type = "HC2"))
r$hc2_weighted <- tidy_fit(lm_robust(f, d, weights = w, se_type = "HC2"))
r$lin <- tidy_fit(lm_lin(y ~ z, ~ item + w, d, se_type = "HC2"))
r$lin_weighted <- tidy_fit(lm_lin(y ~ z, ~ item, d, weights = w, se_type = "HC2"))
d$arm <- c("a", "b", "c")[1 + (seq_len(n) %% 3)]
r$lin_arms <- tidy_fit(lm_lin(y ~ arm, ~ item, d, se_type = "HC2"))
r$versions <- sapply(c("estimatr", "clubSandwich", "survey"), function(p) as.character(packageVersion(p)))
write(toJSON(r, digits = NA, auto_unbox = TRUE, pretty = TRUE), "clusters.json")
