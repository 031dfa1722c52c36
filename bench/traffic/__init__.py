"""The traffic that relays are measured with: frames, the two ends, and the peers between them.

`frames` makes the messages, each with the time it was sent; `generator` plays the clients and `endpoint` the
server, each in a process of its own; `flood` is both for one connection without a pause; `peers` starts the
relays; `trial` joins three processes and reads what they measured. The ends import the standard library only:
they also run in environments that Wiretape is not installed in.

For sends on time: `replays` plays Wiretape's, `senders` the other ways, `sink` is their endpoint and needs `websockets`
alone; `lateness` is what they leave behind, and `idle_watch` tells whether the machine was busy with other things.
"""
