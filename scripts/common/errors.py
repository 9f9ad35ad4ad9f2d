"""The one kind of error that is meant for the user's eyes."""


class UserError(Exception):
    """Something the user can mend. Its text is one line: what is wrong, where, and what to do."""
