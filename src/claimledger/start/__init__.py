"""`claimledger new`: the folder of a new study, and the drafts of its registration and paper."""
