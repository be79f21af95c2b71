"""A package of the application, installed for real though its requirements say that it is editable."""
