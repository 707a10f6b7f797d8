"""What a model is asked, with right and wrong answers: tool calls, multiple choice, needles in long texts

Each task gives `outcomes.Outcome`s, one an item; what they add up to is computed by `statistics`.
"""
