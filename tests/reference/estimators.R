# Reference numbers for claimledger.statistics.estimators and discrete: glm with sandwich, survey,
# mice. Run in this folder: Rscript estimators.R   (draws estimators.csv, writes estimators.json)
suppressPackageStartupMessages({library(sandwich); library(survey); library(jsonlite); library(mice)})
set.seed(20251128)
n <- 400
d <- data.frame(stratum = rep(1:4, each = 100), psu = rep(1:40, each = 10))
d$w <- round(runif(n, .4, 2.5), 3)
d$arm <- sample(c("a", "b", "c"), n, TRUE); d$sex <- sample(c("f", "m"), n, TRUE)
d$age <- round(rnorm(n, 45, 12), 1)
eta <- -.4 + .5 * (d$arm == "b") + .9 * (d$arm == "c") + .02 * (d$age - 45) + rnorm(40, 0, .4)[d$psu]
d$yes <- as.numeric(runif(n) < plogis(eta))
d$y <- round(3 + eta + rnorm(n), 3)
# A conjoint feature that excludes another: no "doctor" without a degree.
d$degree <- sample(c("no", "yes"), n, TRUE)
d$job <- ifelse(d$degree == "no", sample(c("cook", "clerk"), n, TRUE), sample(c("cook", "clerk", "doctor"), n, TRUE))
d$y2 <- round(d$y + .3 * (d$degree == "yes") + .2 * (d$job == "doctor"), 3)
write.csv(d, "estimators.csv", row.names = FALSE)

gradient <- function(f, b) sapply(seq_along(b), function(i) { h <- 1e-6; e <- replace(0 * b, i, h)
  (f(b + e) - f(b - e)) / (2 * h) })
effect <- function(m, V, high, low) {
  X1 <- model.matrix(delete.response(terms(m)), high, xlev = m$xlevels)
  X0 <- model.matrix(delete.response(terms(m)), low, xlev = m$xlevels)
  f <- function(b) mean(m$family$linkinv(X1 %*% b) - m$family$linkinv(X0 %*% b))
  g <- gradient(f, coef(m)); list(estimate = f(coef(m)), se = sqrt(as.numeric(g %*% V %*% g)))
}
slope <- function(m, V) {
  X <- model.matrix(m); b <- coef(m)
  f <- function(b) mean(m$family$mu.eta(X %*% b) * b["age"])
  g <- gradient(f, b); list(estimate = f(b), se = sqrt(as.numeric(g %*% V %*% g)))
}
r <- list()
for (link in c("logit", "probit")) {
  m <- glm(yes ~ arm * sex + age, binomial(link), d)
  plain <- glm(yes ~ arm + age, binomial(link), d)
  set <- function(v) transform(d, arm = factor(v, levels = c("a", "b", "c")))
  for (type in c("HC2", "HC3"))
    r[[paste0(link, "_", type)]] <- effect(m, vcovHC(m, type), set("c"), set("a"))
  r[[paste0(link, "_slope")]] <- slope(plain, vcovHC(plain, "HC2"))
}
des <- svydesign(ids = ~psu, strata = ~stratum, weights = ~w, data = d)
m <- svyglm(y ~ arm + age, des)
r$survey <- list(estimate = unname(coef(m)["armb"]), se = sqrt(vcov(m)["armb", "armb"]), df = degf(des))
m <- svyglm(yes ~ arm + age, des, family = quasibinomial())
r$survey_logit <- list(coef = unname(coef(m)), se = unname(sqrt(diag(vcov(m)))))
# AMCE of the degree, over the jobs that both levels can have, with their shares in the data.
m <- lm(y2 ~ degree * job, d); b <- coef(m); b[is.na(b)] <- 0
both <- d[d$job != "doctor", ]; share <- prop.table(table(both$job))
by <- sapply(names(share), function(j) { x <- function(v) model.matrix(~ degree * job,
  data.frame(degree = factor(v, c("no", "yes")), job = factor(j, c("clerk", "cook", "doctor"))))
  (x("yes") - x("no")) })
C <- as.numeric(by %*% as.numeric(share)); ok <- !is.na(coef(m))
V <- vcovHC(lm(y2 ~ degree + job + degree:I(job == "cook"), d), "HC2")
f <- lm(y2 ~ 0 + interaction(degree, job, drop = TRUE), d); VV <- vcovHC(f, "HC2")
cells <- sub(".*\\)", "", names(coef(f)))
w <- sapply(strsplit(cells, ".", fixed = TRUE), function(p) {
  s <- if (p[2] %in% names(share)) share[[p[2]]] else 0; if (p[1] == "yes") s else -s })
r$amce <- list(estimate = as.numeric(w %*% coef(f)), se = sqrt(as.numeric(w %*% VV %*% w)))
Q <- c(.31, .28, .36, .25, .33); U <- c(.011, .012, .010, .0115, .0125)
p <- pool.scalar(Q, U, n = 200, k = 5)
r$rubin <- list(estimate = p$qbar, se = sqrt(p$t), df = p$df)
r$versions <- sapply(c("sandwich", "survey", "mice"), function(p) as.character(packageVersion(p)))
write(toJSON(r, digits = NA, auto_unbox = TRUE, pretty = TRUE), "estimators.json")
