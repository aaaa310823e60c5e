"""What is done to pictures, masks and latents outside the networks.

Letters: B batch, C channels, H W height and width. Unless a docstring says otherwise tensors are channels-first,
float32, pictures and masks in 0…1, and no function changes its arguments.
"""
