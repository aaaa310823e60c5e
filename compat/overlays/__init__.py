"""What packs look for in modules that are called as packages of ours; `install` lays it over them."""
