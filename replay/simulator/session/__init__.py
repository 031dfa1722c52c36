"""One connection after its handshake: client messages and the time in, server events out. Pure.

- A **session** takes each message, refuses a mistake with an `error` event, and goes on;
- **turns** cut the appended audio, by voice activity in audio time (**vad**, **input_audio**) or by hand;
- a turn becomes one of the **items** of the **conversation**, and the **dialogue** has it transcribed and answered;
- **runs** are what happens by the clock: **responses** stream a clip and its words, **tool_calls** the arguments of a
  function, **transcriptions** tell what the user is meant to have said; **spoiling** has answers come as faults say;
- **usage** counts tokens, **rate_limits** tell what is left of them.
"""
