COLOURS = {"teal": "#008080"}
