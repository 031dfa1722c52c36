"""The recording format on disk, version 1; it knows nothing of the Realtime API.

- a **root** is a folder of recordings: Parquet tables partitioned by date, run files, and a journal;
- **schema** holds the tables' columns: the contract;
- **facts** are what a recorder knows of a session besides its bytes; they travel in the journal;
- **payload** cuts audio out of a message's text and puts it back, byte for byte;
- **audio blocks** pack about 10 s of one track as FLAC, or raw where FLAC does not fit, with measures;
- the **writer** streams one session's rows to Parquet and commits them; the **reader** gives them back.
"""
