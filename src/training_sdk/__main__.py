"""``python -m training_sdk`` is ``training-sdk``."""

import sys

from training_sdk.cli import main

sys.exit(main())
