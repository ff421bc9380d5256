"""Before Quarto renders: bring the ledger up to date."""

from engine import run

run("claimledger", "build", "--for-quarto")
