"""What the messages of a Realtime session mean; it knows nothing of files and sockets.

- **events** reads a message's header: type, ids, error, without touching the rest;
- **dialects** tells GA from beta and others, and names events in both;
- **audio formats** reads the session's formats, and where audio sits in a message;
- **configuration** follows what was asked by session.update and echoed by the endpoint;
- **answering** tells which message of the client an event answers, or an error is about;
- **progress** follows what the endpoint has done and still owes, while a session lasts;
- **outcomes** turns a session's events into failure keys.
"""
