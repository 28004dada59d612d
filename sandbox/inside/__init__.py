"""The jailed side: fork server, locked child and its jobs. It needs no more than torch and `qredit.credit`."""
