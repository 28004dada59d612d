"""The jailed side: fork server, locked child and its jobs. It needs only the standard library, torch, `qredit.credit`."""
