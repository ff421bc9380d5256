# Times of R's packages on the data that run.py writes: Rscript others.R FOLDER
# A package that is not installed has no line in times.csv.
folder <- commandArgs(trailingOnly = TRUE)[1]
at <- function(name) file.path(folder, name)
has <- function(package) requireNamespace(package, quietly = TRUE)
times <- data.frame(method = character(), seconds = numeric(), processor = numeric())
note <- function(method, time, scale = 1) times[nrow(times) + 1, ] <<-
  list(method, scale * time[["elapsed"]], scale * (time[["user.self"]] + time[["sys.self"]]))

if (has("estimatr")) {
  all <- read.csv(at("answers.csv"))
  experiments <- split(all, all$experiment)
  x <- grep("^x", names(all), value = TRUE)
  y <- grep("^y", names(all), value = TRUE)
  fit <- function(left, data)
    estimatr::lm_robust(as.formula(paste(left, "~", paste(x, collapse = "+"))), data, se_type = "HC2")
  invisible(fit(y[1], experiments[[1]]))
  loop <- at_once <- list()
  time <- system.time(for (data in experiments) {
    p <- sapply(y, function(one) fit(one, data)$p.value)
    invisible(p.adjust(p, "holm"))
    loop[[length(loop) + 1]] <- t(p)
  })
  note("R estimatr, loop", time)
  time <- system.time(for (data in experiments) {
    p <- fit(paste0("cbind(", paste(y, collapse = ","), ")"), data)$p.value
    invisible(p.adjust(p, "holm"))
    at_once[[length(at_once) + 1]] <- t(p)
  })
  note("R estimatr, outcomes at once", time)
  write.csv(do.call(rbind, loop), at("p-loop.csv"), row.names = FALSE)
  write.csv(do.call(rbind, at_once), at("p-once.csv"), row.names = FALSE)
}
if (has("survey")) {
  people <- read.csv(at("people.csv"), stringsAsFactors = TRUE)
  margins <- read.csv(at("margins.csv"))
  variables <- unique(margins$variable)
  design <- survey::svydesign(ids = ~1, weights = rep(1, nrow(people)), data = people)
  targets <- lapply(variables, function(v) {
    rows <- margins[margins$variable == v, ]
    setNames(data.frame(rows$category, rows$share * nrow(people)), c(v, "Freq"))
  })
  forms <- lapply(variables, function(v) as.formula(paste("~", v)))
  time <- system.time(
    raked <- survey::rake(design, forms, targets, control = list(maxit = 500, epsilon = 1e-9))
  )
  note("R survey", time)
  write.csv(data.frame(weight = weights(raked)), at("weights.csv"), row.names = FALSE)
}
for (package in c("ri2", "DeclareDesign")) if (has(package)) {
  set.seed(1)
  n <- 1502
  z <- sample(rep(0:1, length.out = n))
  y <- rnorm(n)
  if (package == "ri2") {
    time <- system.time(ri2::conduct_ri(y ~ z, declaration = randomizr::declare_ra(N = n),
      assignment = "z", sharp_hypothesis = 0, data = data.frame(y, z), sims = 200))
    note("R ri2", time, 8 * 10000 / 200)
  } else {
    library(DeclareDesign)
    one <- declare_model(N = n, U = rnorm(N), potential_outcomes(Y ~ 0 * Z + U)) +
      declare_inquiry(ATE = mean(Y_Z_1 - Y_Z_0)) + declare_assignment(Z = complete_ra(N)) +
      declare_measurement(Y = reveal_outcomes(Y ~ Z)) + declare_estimator(Y ~ Z, inquiry = "ATE")
    note("R DeclareDesign", system.time(diagnose_design(one, sims = 50, bootstrap_sims = 0)), 20)
  }
}
write.csv(times, at("times.csv"), row.names = FALSE)
