"""The simulators: official packages with a named state, each saved and restored as a whole."""
