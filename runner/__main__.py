"""``python -m runner``; see `runner.commands.run`."""

from runner.commands.run import main

if __name__ == "__main__":
    main()
