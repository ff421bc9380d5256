"""`claimledger`, and `python -m claimledger`: the command line, from its first import on."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it with status 130, at once while Python imports."""
    try:
        from claimledger.cli import main as run

        run()
    except KeyboardInterrupt:
        print("Stopped. What was finished is kept; run the same command to go on.",
              file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
