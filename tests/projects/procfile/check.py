print("ready to start")
