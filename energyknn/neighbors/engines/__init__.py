"""The engines: each finds candidates in its own way, and the contract decides among them."""
