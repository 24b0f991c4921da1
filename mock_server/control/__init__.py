"""The control plane under ``/_mock/``, which only a reference server has, and who may reach a server at all."""
