"""The names third-party packs import, laid over our own parts from outside.

`install` prepares a worker, `packs.load_packs` loads what lies in the folders of packs; `README.md` is the promise.
"""
