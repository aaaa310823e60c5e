"""One file per model line: everything that sets it apart, as one `Family` value."""
