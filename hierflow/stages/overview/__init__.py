"""What commands tell of a set, before a run and after."""
