"""Small parts of the program."""
