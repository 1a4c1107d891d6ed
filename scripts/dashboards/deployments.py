"""Deployments: what runs where, how the last ones ended, and how long they took."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.dashboards.parts import BAD, DOUBTFUL, GOOD, PLAIN, Query, graph, listing, number, page, timeline

OUTCOMES = {
    1: ("proven", GOOD),
    2: ("started", PLAIN),
    3: ("adopted", PLAIN),
    4: ("aborted", DOUBTFUL),
    5: ("reverted", DOUBTFUL),
    6: ("failed", BAD),
}
"""A number for each kind of event, since a panel's states are numbers."""

OUTCOME = (
    "sum by (node, stack) ("
    + " or ".join(
        f'{number} * deploy_last_outcome{{outcome="{word}"}}' for number, (word, _) in OUTCOMES.items()
    )
    + ")"
)

WRONG = 'outcome=~"failed|reverted|aborted"'


def dashboard() -> Dashboard:
    """The dashboard."""
    name = "{{node}} {{stack}}"
    return page(
        "ktrdr-deployments",
        "Deployments",
        "What runs where, and how deployments ended. Each host tells it of itself.",
        [
            number("Last outcome", "short", Query(OUTCOME, name), words=OUTCOMES, width=8),
            number(
                "Last proven",
                "dateTimeFromNow",
                Query("deploy_last_success_timestamp_seconds * 1000", name),
                width=8,
            ),
            number(
                "Days since then",
                "d",
                Query("(time() - deploy_last_success_timestamp_seconds) / 86400", name),
                steps=((0, GOOD), (14, DOUBTFUL), (30, BAD)),
                width=8,
            ),
            timeline("Outcomes", Query(OUTCOME, name), words=OUTCOMES),
            listing("What runs", Query("deploy_release_info"), "node", "stack", "tag", "release"),
            listing(
                "What went wrong in this time",
                Query(f"max_over_time(deploy_last_outcome{{{WRONG}}}[$__range])"),
                "node",
                "stack",
                "outcome",
                words={1: ("yes", BAD), 0: ("no", GOOD)},
            ),
            graph(
                "How long they took",
                "s",
                Query("deploy_duration_seconds", name),
                steps=((0, GOOD), (300, DOUBTFUL)),
                width=12,
            ),
            graph(
                "Deployments that were proven",
                "short",
                Query("changes(deploy_last_success_timestamp_seconds[$__range])", name),
                width=12,
                what="Within the time shown.",
            ),
        ],
    )
