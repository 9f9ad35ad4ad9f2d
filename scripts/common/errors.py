"""The one kind of error that is meant for the user's eyes."""


class UserError(Exception):
    """Something the user can fix. Its text is one line: what is wrong, where, and what to do."""


def one_line(error: BaseException, length: int = 200) -> str:
    """The error's message on one line of at most so many characters, its type where it has none: some messages hold a
    whole page of HTML."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= length else f"{text[:length]}…"
