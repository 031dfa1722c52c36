"""A local Realtime endpoint that needs no key and no network, and fails the way a scenario says.

- A **scenario** is one file: how the endpoint behaves, which **faults** it has, and what a **client** does.
- The **protocol** is what may be said: whose endpoint a request means, who is let in, and the events of both dialects.
- A **session** is one connection after its handshake: client messages and the time in, server events out.
- **faults** are asked before each thing that may fail; a session does what their effects say.
- The **endpoint** is the shell around sessions, and the **client** plays a script: only these two have sockets.

All else is pure: it takes the time as an argument and returns what to send; **clock** is the only one that knows it.
**ids** and chances come from a seed, so the same seed and the same client give the same ids and the same faults.
"""

from replay.simulator.endpoint.server import REGIONS, Simulator, serve
from replay.simulator.scenario import Scenario, list_scenarios, load_scenario

__all__ = ["REGIONS", "Scenario", "Simulator", "list_scenarios", "load_scenario", "serve"]
