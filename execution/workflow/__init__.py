"""The editor's file, read on the server: from a workflow to the graph that runs."""
