"""From data to ledger to paper: tasks, notebooks and their kernels."""
