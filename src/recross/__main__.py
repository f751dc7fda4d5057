"""The console script for ``python -m recross``, where it is not on the path."""

from recross.command.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
