"""A local Realtime endpoint that needs no key and no network, and fails the way a scenario says.

- **addresses** read whose endpoint a request means; **admission** decides about a handshake: which session it gets, or
  how the endpoint turns it away; **client_secrets** answers the one plain request that is served (**plain_http**).
- A **session** is one connection: client messages and the time in, server events out. It refuses a mistake with an
  `error` event in the real endpoint's words (**client_events** and **shapes** hold what may be said) and goes on.
  It speaks GA; **beta** translates at its edge.
- **turns** cut the appended audio, by voice activity in audio time (**vad**, **input_audio**) or by hand; a turn
  becomes an item of the **conversation**.
- **runs** are what a session does by the clock: **responses** stream a shipped clip and its words, **tool_calls** the
  arguments of a function, **transcriptions** tell what the user is meant to have said.
- A **scenario** says what fails, where and when: it is asked for the **effects** of its **faults** before each thing
  that may fail. **spoiling** does to an answer what they say, **interference** what comes over a session from outside.
- **endpoint**, **connection** and **talk** are the endpoint's shell: only they have its sockets; **clock** is the only
  one that knows the time.
- A **script** is the client's side of a scenario: **script_client** plays it over a socket of its own, with what
  **script_audio** has to say and the ids that **script_ids** has seen.

Everything but the shell is pure: it takes the time as an argument and returns what to send. **ids** come from a seed,
so the same seed and the same client give the same ids.
"""

from replay.simulator.endpoint import REGIONS, Simulator, serve
from replay.simulator.scenario import Scenario, list_scenarios, load_scenario

__all__ = ["REGIONS", "Scenario", "Simulator", "list_scenarios", "load_scenario", "serve"]
