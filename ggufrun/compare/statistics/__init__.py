"""Numbers over the numbers of a comparison, and how sure they are. Numpy only; nothing is read or measured here

`quality`: over the positions of a text; `outcomes`: over items that are right or wrong; `proportions`: of counts and
votes; `speeds`: over repetitions. All of it gives the same result for the same input.
"""
