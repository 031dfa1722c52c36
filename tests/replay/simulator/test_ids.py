from replay.simulator.ids import IdSource


def test_ids_look_like_the_real_ones() -> None:
    ids = IdSource(seed=0, connection=1)

    prefix, _, rest = ids.make("item").partition("_")
    assert (prefix, len(rest), rest.isalnum()) == ("item", 21, True)
    assert len(ids.make("call")) == len("call_I5nx0fK2YAldYQZs")
    assert [len(part) for part in ids.make_request_id().split("-")] == [8, 4, 4, 4, 12]


def test_the_same_seed_and_connection_give_the_same_ids() -> None:
    first, second = IdSource(7, 1), IdSource(7, 1)

    assert [first.make("item") for _ in range(5)] == [second.make("item") for _ in range(5)]
    assert first.make_request_id() == second.make_request_id()
    assert first.chance("fault 0") == second.chance("fault 0")


def test_another_seed_or_connection_gives_other_ids() -> None:
    made = {IdSource(seed, connection).make("sess") for seed in range(3) for connection in range(3)}

    assert len(made) == 9


def test_how_many_events_were_sent_does_not_change_the_items() -> None:
    quiet, chatty = IdSource(0, 1), IdSource(0, 1)
    for _ in range(10):
        chatty.make("event")

    assert quiet.make("item") == chatty.make("item")
