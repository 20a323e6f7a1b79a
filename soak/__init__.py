"""Campaigns that are too long for the tests: ``make soak`` runs them, the tests run a short seeded version of each."""
