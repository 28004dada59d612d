"""From the text of a credit function to its credit graph, inside the jail: the only code that executes the text."""
