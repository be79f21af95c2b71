SIDES = {"square": 4}
