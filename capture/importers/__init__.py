"""Sessions that other tools recorded, as recordings.

- **har** and **jsonl** are pure: they read a file's bytes and give its sessions, and name what they cannot read;
- a **source session** is what a file holds of one WebSocket: handshake, messages, end; what it does not hold is None;
- **times** are read as files spell them, and never made up: where there are none, offsets only keep the order;
- the **damaged** reader finds the elements of a JSON array in a text that is no whole JSON;
- a session becomes a recording by the same rows as a captured one, with the role `imported` (**recording**);
- **importing** goes through files: one session after another, each whole or not at all, none twice.
"""
