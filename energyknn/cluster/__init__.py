"""Past one machine: searches and tuning on a Ray cluster, with the bits of one machine.

Importing this package does not load Ray; the functions that need it do.
"""

__all__: list[str] = []
