"""Everything between a network and a finished latent.

`sample.sample` is the one entry. On the way down:

- `sample`: the run as a whole: noising, inpainting, the solver, what comes out.
- `guidance/`: how estimates under several conditionings become one; one method a file.
- `predict`: conditions to estimates, batched; `conditioning`, `regions`, `control`, `network_inputs` are its parts.
- `process`: what a model was trained for: `prediction` (what its output means) and `levels` (its clock and noise).
- `schedules`, `sigmas`: which noise levels to go through.
- one file per solver, written as its paper has it; `solvers` lists them all by name.

A solver is a pure function of a denoiser, a latent and sigmas. To add one, write its file and add a line to `SOLVERS`:
the line says what it needs besides (noise, the process' marginals, the unconditional estimate).
"""
