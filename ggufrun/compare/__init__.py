"""What each quant of a model costs: quality, tasks, speed and memory, measured, with intervals, as tables and pictures.

Values are in `results`, numbers over numbers in `statistics`, what is read in `texts`. `scoring` is the process that
measures, `tasks` what is asked through the chat model, `run` the whole of it, and `report` how it is shown.
"""
