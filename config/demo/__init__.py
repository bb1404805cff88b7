"""The demo's data: real baskets packed into a fixture, and the stream of holds and bills a POS would make of them."""
