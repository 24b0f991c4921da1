"""Machinery between an operation and httpx: flows, send policy, pagination, codec, drivers."""
