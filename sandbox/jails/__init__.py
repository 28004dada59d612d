"""The parent's side: the jails behind one interface, and how one is chosen."""
