"""Layer 0: what a source may say, decided on its text and its syntax tree, without running it."""
