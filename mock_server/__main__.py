"""``training-mock``, and ``python -m mock_server``: the command line."""

import gc
import sys

# All that is imported stays: to search it for garbage again and again takes a sixth of the time of a start.
gc.disable()

from mock_server.cli import main  # noqa: E402 - see above

gc.freeze()
gc.enable()

if __name__ == "__main__":
    sys.exit(main())
