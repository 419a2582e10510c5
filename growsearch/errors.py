"""What the user can mend."""

from growsearch.text import one_line

LONGEST = 4000


class UserError(Exception):
    """Bad input or a full disk: says in one line what was found where, and what would do.

    The line holds no control characters, whatever name or content of a file is told in it.
    """

    def __str__(self) -> str:
        return one_line(super().__str__(), LONGEST)
