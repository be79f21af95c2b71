"""How the cost of builds grows with files, packages and bytes."""
