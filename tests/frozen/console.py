"""The console as an application of its own."""

from memtrace._cli import main

if __name__ == "__main__":
    main()
