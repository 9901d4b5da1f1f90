"""What the benchmark suites share: data, peers, timing, memory, and the drawing of saved runs."""
