"""REPLAY: run a recorded session again, against an endpoint or as one.

- A **plan** is what a recording's client did, as steps: send this, when the clock says so or after that event.
- A **player** follows a plan: events and the time in, messages to send out; the **client** is its shell, and records
  what it plays, so a replay is again a recording.
- A **run** plays a session against **cells** (a target and a variation each) for a number of **trials**; the
  **verdict** says what the outcomes prove, and what was not tested.
- The **simulator** stands beside: a local endpoint that fails the way a scenario says.

Built on capture: it reads recordings, and records through it.
"""
