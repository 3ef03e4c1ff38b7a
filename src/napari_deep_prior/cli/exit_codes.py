"""What the command line tells the program that has started it."""

from __future__ import annotations

DONE = 0
"""All went well."""

INCOMPLETE = 1
"""A batch came to its end, and some of its files could not be restored; its table says which, and why."""

FAILED = 2
"""Nothing was done, or a run broke off; a sentence on the error stream says why."""

INTERRUPTED = 130
"""Ctrl-C (128 + SIGINT)."""

TERMINATED = 143
"""SIGTERM (128 + SIGTERM), with which clusters end a job."""
