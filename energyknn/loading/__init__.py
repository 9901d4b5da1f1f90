"""Read a data file of any common format into a table that is checked against a schema.

A file may come from anybody. Its bytes tell what it is, its size in memory is bounded before it is read, an archive is
never unpacked to disk, and every failure is a `DataFileError` of one line. Notes say what was found out about a file.
"""

from energyknn.loading.checking import check_content, check_table
from energyknn.loading.content import FileContent
from energyknn.loading.paths import hash_file, sample_path
from energyknn.loading.reading import load_table, read_file, read_table

__all__ = [
    "FileContent",
    "check_content",
    "check_table",
    "hash_file",
    "load_table",
    "read_file",
    "read_table",
    "sample_path",
]
