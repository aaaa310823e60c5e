"""Allocator settings are made when the program starts; there is nothing to do here."""


def get_gpu_names():
    return set()


def cuda_malloc_supported():
    return False
