"""The rows, one module for each subject. A module has `GROUPS`: async functions that return rows.

Add a subject by adding a module here; `run.py` finds it.
"""
