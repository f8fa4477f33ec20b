"""What ends a program with one sentence and no traceback."""


class UserError(Exception):
    """A mistake in the input; its message names the file or key and says what would be right.

    The command line prints it as one line and exits with code 2.
    """


class RunFailed(Exception):
    """A training that cannot go on, through no mistake in the input: its losses, its ranks, its disk.

    The message says what happened and where to go on from. The command line prints it as one line
    and exits with code 1.
    """


class Interrupted(Exception):
    """A training that ends in order before its time, because it was asked to or is complete.

    Args:
        message: What was saved and how to go on.
        exit_code: 0 for a pre-emption, 130 for Ctrl-C.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
