"""From the words people type to the tensors a diffusion network reads."""
