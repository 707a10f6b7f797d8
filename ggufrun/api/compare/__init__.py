"""Comparisons over HTTP: measured reports, begun and watched, and blind votes"""
