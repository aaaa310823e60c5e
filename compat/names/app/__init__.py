"""The server's parts; asked of the server itself here."""
