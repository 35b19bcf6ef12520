"""`python -m tank` is the `tank` command."""

from tank.cli.main import entry

if __name__ == "__main__":
    entry()
