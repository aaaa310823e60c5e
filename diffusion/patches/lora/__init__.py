"""LoRA and its relatives: small files that change large weights."""
