"""Bulk jobs: one act on one customer or a million, with a preview before and an undo after.

`models` what is kept, `types` what a job does to an account, `choice` whom it is about, `jobs` its life from preview to undo, `running` the
worker's part, `files` lists that people upload and download.
"""
