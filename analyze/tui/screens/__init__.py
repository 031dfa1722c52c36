"""One screen a file; each gets its source from outside and owns the workers that ask it."""
