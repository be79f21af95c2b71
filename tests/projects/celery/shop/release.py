print("the database is as it should be")
