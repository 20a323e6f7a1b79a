"""The campaign of soak/decoder.py, for a second or two."""

from __future__ import annotations

from soak.decoder import Campaign


def test_broken_records_are_decoded_or_refused_as_the_slow_decoder_does():
    campaign = Campaign(seed=3)
    for _ in range(2000):
        campaign.run_once()
    assert campaign.straight > 200
    assert {"rows", "malformed", "truncated", "bad_magic", "keys_values"} <= campaign.outcomes.keys()
