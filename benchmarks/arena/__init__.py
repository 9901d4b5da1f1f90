"""The arena: energyknn and other models, by default and tuned for the same seconds, on sets that ship in packages."""
