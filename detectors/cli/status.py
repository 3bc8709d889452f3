"""The exit statuses of every command."""

from __future__ import annotations

__all__ = ["FOUND", "INTERRUPTED", "MEANING", "OK", "UNREADABLE", "USAGE"]

OK = 0
UNREADABLE = 1
USAGE = 2
FOUND = 3
INTERRUPTED = 130  # as shells count a death by Ctrl-C

#: What they mean where logs are read; a command that reads none says what its own 0, 1 and 2 mean.
MEANING = {
    OK: "all logs were read",
    UNREADABLE: "a log could not be read; the others were answered",
    USAGE: "wrong usage, or an answer that could not be written",
    FOUND: "something that --fail-on names was found",
    INTERRUPTED: "interrupted by Ctrl-C",
}
