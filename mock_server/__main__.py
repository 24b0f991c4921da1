"""``training-mock``, and ``python -m mock_server``: the command line."""

import gc
import sys

# All that is imported stays: to search it for garbage again and again takes a sixth of the time of a start.
_collects = gc.isenabled()
gc.disable()
try:
    from mock_server.cli import main
finally:
    if _collects:  # also after an error, and not in a program that has switched it off itself
        gc.freeze()
        gc.enable()

if __name__ == "__main__":
    sys.exit(main())
