"""Simulated incidents whose truth is known, for the experiment that looks for the axis at fault.

A `world` says how often a trial fails, by what it changes and by how many went before; `exploring` lets the real
experiment loose on one and reads its verdict; `judging` compares that with the truth, and its trials with those of the
full factorial.
"""
