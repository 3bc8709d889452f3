"""The exit statuses of every command."""

from __future__ import annotations

__all__ = ["FOUND", "INTERRUPTED", "OK", "UNREADABLE", "USAGE"]

OK = 0
UNREADABLE = 1  # a log could not be read; the others were answered
USAGE = 2  # wrong usage, or an answer that could not be written
FOUND = 3  # what must not be there was found
INTERRUPTED = 130  # Ctrl-C, as shells count it
