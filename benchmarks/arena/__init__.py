"""The arena: ours and others, by default and tuned for the same seconds, on many sets that ship inside packages."""
