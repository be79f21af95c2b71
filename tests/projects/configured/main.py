raise SystemExit("the configuration says what starts")
