"""``python -m training_sdk.testing.contract``."""

import sys

from training_sdk.testing.contract.command import main

if __name__ == "__main__":
    sys.exit(main())
