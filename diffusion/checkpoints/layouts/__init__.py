"""Namings of the same networks in the files people have, as tables: file's name -> what it becomes in ours."""
