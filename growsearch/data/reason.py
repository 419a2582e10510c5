"""What other people's exceptions say, in one line."""

LONGEST = 300


def reason(error: BaseException) -> str:
    """The message without line breaks, cut off where it gets long; the type's name if there is none."""
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__
