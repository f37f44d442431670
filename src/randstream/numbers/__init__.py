"""Numbers: a stream as a function of seed, worker, distribution and offset. Pure."""
