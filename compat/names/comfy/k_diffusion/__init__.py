"""Solvers and schedules by the names of k-diffusion."""
