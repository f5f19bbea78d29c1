"""The error of a command line that can be read and makes no sense."""

from __future__ import annotations


class UsageError(Exception):
    """What is wrong with the arguments, in a sentence."""
