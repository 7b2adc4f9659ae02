"""`python -m veildesk`: the same as the `veildesk` command."""

from veildesk.cli import main

if __name__ == "__main__":
    main()
