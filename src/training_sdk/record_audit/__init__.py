"""The audit of the records of a machine: each record is compared with the others."""
