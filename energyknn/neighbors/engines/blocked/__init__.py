"""The blocked engine: boxes of rows, screened in float32 and decided in float64. DESIGN.md explains it."""
