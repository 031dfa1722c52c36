from __future__ import annotations

from analyze.annotating import annotate
from analyze.answers import Facet
from analyze.queries import Queries
from capture.recording.root import Root


def test_values_are_counted_under_the_filter(
    root: Root, failed_session: str, ok_session: str, queries: Queries
) -> None:
    annotate(root, [failed_session], tags={"cause": "model"})
    queries.store.refresh()
    counted = queries.facets()
    assert [facet for facet in counted if facet.field == "outcome"] == [
        Facet("outcome", "failed", 1, 1),
        Facet("outcome", "ok", 1, 0),
    ]
    assert {(facet.value, facet.failed) for facet in counted if facet.field == "region"} == {
        ("eastus2", 1),
        ("swedencentral", 0),
    }
    assert Facet("tag", "cause=model", 1, 1) in counted
    # Nobody asked the signatures yet: a count of values does not wait for them.
    assert not [facet for facet in counted if facet.field == "finding"]
    assert [facet.value for facet in queries.facets("region:sw*") if facet.field == "region"] == ["swedencentral"]


def test_what_was_found_is_counted_once_it_is_known(failed_session: str, ok_session: str, queries: Queries) -> None:
    queries.findings()
    assert Facet("finding", "transcription_model_path_failure", 1, 1) in queries.facets()
