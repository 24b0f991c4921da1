"""The wire as one OpenAPI document: what is asked and answered, and how sure that is, field by field."""
