"""The job API: `/v1`, for programs."""
