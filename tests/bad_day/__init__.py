"""A bad day: a month of a chain played in minutes while faults hit, drawn from a seed; afterwards everything must add up."""
