"""The process that measures one row of a comparison: how likely texts are, what is written, how fast

`worker` is the process and `jobs` what it is asked; `files` is how the others write what it reads, and read what it
found.
"""
