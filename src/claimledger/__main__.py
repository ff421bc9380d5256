"""`python -m claimledger` is the command line."""

from claimledger.cli import main

main()
