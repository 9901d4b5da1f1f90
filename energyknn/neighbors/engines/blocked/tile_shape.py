"""The shape of a tile. Every array of the tree and of a batch is cut to it."""

LANES = 16  # float32 numbers in a vector, and boxes that are tested at once
TILE_QUERIES = 4
TILE_ROWS = 4 * LANES  # each row has one bit of a uint64 mask, so 64 is the most
