"""How what packs set on their objects reaches our networks and samplers."""
