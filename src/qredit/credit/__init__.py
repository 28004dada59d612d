"""Credit graph."""
