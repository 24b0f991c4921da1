"""``python -m training_sdk.cli`` is ``training-sdk``."""

import sys

from training_sdk.cli import main

sys.exit(main())
