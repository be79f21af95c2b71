raise SystemExit("the command of the project is what starts")
