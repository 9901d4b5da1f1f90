"""Results to tables, pictures and one self-contained HTML page.

Importing this package loads neither Matplotlib nor Jinja: the functions that need
the extra ``report`` load it.
"""
