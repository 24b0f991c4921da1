"""The version the reference server states in ``X-Training-Mock``; a test keeps it equal to the SDK's."""

__version__ = "0.1.0"
