"""Long latents in windows: which parts of them the network sees together. Handlers of packs' own are called by
`calc_cond_batch`; those of the interface itself are not offered."""
