"""The blind vote of the tab Side by side: two answers without names, and which of them is better"""
