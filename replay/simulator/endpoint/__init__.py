"""The shell of the simulator: sockets, and what happens before a session begins or instead of one.

- The **server** listens for all regions and decides about handshakes;
- a **connection** is a WebSocket, or one plain HTTP request on the same port (**plain_http**, pure);
- a **talk** feeds a session what comes over its connection, and sends what it says when it is due;
- **client_secrets** answers the one plain request that is served (pure).
"""
