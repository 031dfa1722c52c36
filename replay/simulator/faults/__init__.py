"""What goes wrong with an endpoint, and when. Pure.

- **effects** are all that can go wrong, one struct each; those of one kind exclude each other;
- **conditions** say where and when; a fault is one effect under its conditions;
- the **faults** of a simulator are asked which effect strikes here and now, and remember what passed a quota;
- **interference** is what cuts into a session by itself, some time after an event: errors, closes, lost connections.
"""
