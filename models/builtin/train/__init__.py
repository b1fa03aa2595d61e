"""The training recipe of the built-in model: see README.md beside this file."""
