"""A chain's POS, played: a day of bills with chosen faults, sent as tills do, and compared with what became of them."""
