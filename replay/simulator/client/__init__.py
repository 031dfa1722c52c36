"""The client's side of a scenario.

- A **script** is which sessions are played, and the steps of each, as the file has them;
- **playing** takes the steps over a socket of its own: sends, waits, stalls, hangs up;
- **audio** is what it has to say, whole or spoilt; **seen_ids** fill in the ids that the endpoint told.
"""
