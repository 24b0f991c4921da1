"""The operations of the API, one module for each noun: its models (frozen data) and the methods of the client."""
