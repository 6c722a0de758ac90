"""These programs are run by test_broken_programs.py; they hold no tests of their own."""

collect_ignore_glob = ["*.py"]
