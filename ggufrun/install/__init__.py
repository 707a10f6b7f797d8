"""What `make` does: an environment with the llama.cpp build for this machine, and the project's tasks in it.

Standard library only, since it runs before anything is installed; the rest of ggufrun does not import it.
"""
