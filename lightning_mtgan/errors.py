"""The one exception that a user's mistake raises: a sentence, not a traceback."""


class UserError(Exception):
    """A mistake in the input; its message names the file or key and says what would be right.

    The command line prints it as one line and exits with code 2.
    """
