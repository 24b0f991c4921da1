"""Data out: listings as dictionaries, Arrow, pandas, Polars, Parquet and text, with one fixed schema for each model."""
