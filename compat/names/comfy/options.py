"""Whether the command line is read: it always was, before packs load."""

args_parsing = True


def enable_args_parsing(enable=True):
    global args_parsing
    args_parsing = enable
