"""One widget a file; attributes go down, messages come up."""
