"""The jobs behind the commands: a data file in, results and what to print of them out."""
