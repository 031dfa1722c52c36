"""What commands show: tables and texts on stdout, for a terminal or for a pipe."""
