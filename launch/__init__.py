"""Where everything meets: settings, wiring and the commands of the program."""
