raise SystemExit("a test is no application")
