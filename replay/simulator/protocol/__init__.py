"""What may be said to a Realtime endpoint, and what it says to mistakes, in its own words. Pure.

- **addresses** read whose endpoint a request means; **admission** decides which session it gets, or is turned away;
- **client_events** are what a client may send: **item_shapes** and **settings**, declared as **shapes**;
- all else is one of the **mistakes**;
- **server_events** name all that an endpoint sends;
- the **configuration** is what session.update makes of a session;
- **beta** translates the beta dialect to GA and back.
"""
