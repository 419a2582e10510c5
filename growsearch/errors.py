"""Errors that a user can mend: one line that says what was found and what would do."""


class UserError(Exception):
    """Names the option or file at fault, what was found and what would be accepted (exit code 2)."""
