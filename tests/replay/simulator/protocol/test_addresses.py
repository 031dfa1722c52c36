import pytest

from replay.simulator.protocol.addresses import read_address

REGIONS = ("eastus2", "swedencentral")


@pytest.mark.parametrize(
    ("path", "region", "shape", "rest"),
    [
        ("/swedencentral/openai/v1/realtime?model=a", "swedencentral", "azure", "/openai/v1/realtime"),
        ("/openai/v1/realtime", "eastus2", "azure", "/openai/v1/realtime"),
        ("/swedencentral/v1/realtime", "swedencentral", "openai", "/v1/realtime"),
        ("/westus/v1/realtime", "eastus2", "openai", "/westus/v1/realtime"),
        ("/", "eastus2", "openai", "/"),
        ("//swedencentral/openai/v1/realtime", "swedencentral", "azure", "/openai/v1/realtime"),
        ("//[v1/realtime", "eastus2", "openai", "//[v1/realtime"),
    ],
)
def test_the_first_segment_picks_the_region_and_the_rest_the_shape(
    path: str, region: str, shape: str, rest: str
) -> None:
    address = read_address(path, {}, REGIONS)

    assert (address.region, address.shape, address.path) == (region, shape, rest)


def test_a_shape_that_is_set_does_not_depend_on_the_path() -> None:
    assert read_address("/openai/v1/realtime", {}, REGIONS, "openai").shape == "openai"


@pytest.mark.parametrize(
    ("path", "headers", "credential"),
    [
        ("/v1/realtime", {"Authorization": "Bearer sk-1"}, "sk-1"),
        ("/v1/realtime", {"Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.ek_1"}, "ek_1"),
        ("/v1/realtime?api-key=a", {"api-key": "a"}, None),
        ("/openai/v1/realtime", {"api-key": "a"}, "a"),
        ("/openai/v1/realtime?api-key=a", {}, "a"),
        ("/openai/v1/realtime", {"AUTHORIZATION": "bearer token"}, "token"),
        ("/openai/v1/realtime?Authorization=Bearer+token", {}, "token"),
        ("/openai/v1/realtime", {"Authorization": "Basic a"}, None),
    ],
)
def test_the_credential_is_read_where_the_origin_reads_it(
    path: str, headers: dict[str, str], credential: str | None
) -> None:
    address = read_address(path, headers, REGIONS)

    assert address.credential == credential
    assert address.is_let_in(())
    assert address.is_let_in(("sk-1", "ek_1", "a", "token")) is (credential is not None)
