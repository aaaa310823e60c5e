"""Unpickling of weights without running what a file says."""

import pickle

load = pickle.load


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module.startswith("pytorch_lightning"):
            return type("Empty", (), {})
        return super().find_class(module, name)
